// Lines that the reader has switched off: a part of the address, so that a link shows the same to others.

const NAME = "off";

const idOf = ({ endpoint, measurement }) => `${endpoint}.${measurement}`;

const read = () => (new URL(location.href).searchParams.get(NAME) ?? "").split(",").filter(Boolean);

export const isOff = (series) => read().includes(idOf(series));

/** Switch a line off, or on again. The links of the page and its form keep it. */
export function turn(series, off) {
  const others = read().filter((id) => id !== idOf(series));
  const all = off ? [...others, idOf(series)] : others;
  const url = new URL(location.href);
  write(url, all);
  history.replaceState(null, "", url);
  for (const link of document.querySelectorAll("main a[href], #switches a[href]")) {
    const address = new URL(link.href);
    if (address.origin !== location.origin || address.pathname !== location.pathname || link.getAttribute("href").startsWith("#")) continue;
    write(address, all);
    link.href = address;
  }
  const field = document.querySelector(`#filter [name="${NAME}"]`);
  if (field) field.value = all.join(",");
}

function write({ searchParams }, ids) {
  if (ids.length) searchParams.set(NAME, ids.join(","));
  else searchParams.delete(NAME);
}
