// The page of months and years with a script: the side of the limit, and printing.

const print = document.getElementById("print");
const side = document.getElementById("side");

if (print) {
  print.hidden = false;
  print.addEventListener("click", () => globalThis.print());
}
if (side) {
  side.hidden = false;
  // The name of the field says on which side hours count.
  side.addEventListener("change", () => {
    side.form.querySelector('[name="above"], [name="below"]').name = side.value;
  });
}
