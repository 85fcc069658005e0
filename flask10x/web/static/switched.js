// Lines that the reader has switched off: a part of the address, so that a link shows the same to others.

import { idOf } from "./lines.js";

const NAME = "off";

const read = () => (new URL(location.href).searchParams.get(NAME) ?? "").split(",").filter(Boolean);

export const isOff = (series) => read().includes(idOf(series));

/** Switch a line off, or on again. The links of the page and its form keep it. */
export function turn(series, off) {
  const others = read().filter((id) => id !== idOf(series));
  keep(NAME, (off ? [...others, idOf(series)] : others).join(","));
}

/** Put what a reader has chosen in the charts into the address, the links of the page and its form. */
export function keep(name, value) {
  const write = ({ searchParams }) => (value ? searchParams.set(name, value) : searchParams.delete(name));
  const url = new URL(location.href);
  write(url);
  history.replaceState(null, "", url);
  for (const link of document.querySelectorAll("main a[href], #switches a[href]")) {
    const address = new URL(link.href);
    if (address.origin !== location.origin || address.pathname !== location.pathname || link.getAttribute("href").startsWith("#")) continue;
    write(address);
    link.href = address;
  }
  const field = document.querySelector(`#filter [name="${name}"]`);
  if (field) field.value = value;
}
