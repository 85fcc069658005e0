// Values as people read them: as many digits as their unit deserves.

import { digitsOfUnit } from "./texts.js";

// Of a number below 1 in another unit: three that tell something.
const TELLING_DIGITS = 3;
const MOST_DIGITS = 9;
// As in numbers.py.
const SEPARATED_FROM = 9999.5;
const CLOSE_TO_THE_NUMBER = ["°C", "%", ""];

/** `21.5°C`, `812 ppm`; a dash for what is no number. */
export function textOf(value, unit) {
  const number = numberOf(value, unit);
  return Number.isFinite(value) ? `${number}${CLOSE_TO_THE_NUMBER.includes(unit) ? "" : " "}${unit}` : number;
}

/** The same without zeros behind the point, as people write a limit: `25°C`. */
export const briefly = (value, unit) => textOf(value, unit).replace(/(?:(\.\d*[1-9])|\.)0+(?=\D*$)/, "$1");

/** The same without its unit. */
export function numberOf(value, unit) {
  if (!Number.isFinite(value)) return "–";
  const digits = digitsOfUnit(unit) ?? digitsOf(value);
  return written(value, digits);
}

export function written(value, digits) {
  const text = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: Math.abs(value) >= SEPARATED_FROM }).format(value);
  // As `rounded` of numbers.py: -0.04 °C is shown as 0.0.
  return text.replace(/^-(?=[0.]*$)/, "").replace("-", "−");
}

/** Numbers of an axis, all with as many digits behind the point as the finest of them needs. */
export function axisTexts(values) {
  const digits = Math.max(0, ...values.map((value) => (String(Number(value.toPrecision(10))).split(".")[1] ?? "").length));
  return values.map((value) => written(value, digits));
}

/** How many digits behind the point a value has in a unit that an operator has named. */
function digitsOf(value) {
  if (!value || Math.abs(value) >= 1) return 1;
  return Math.min(MOST_DIGITS, TELLING_DIGITS - 1 - Math.floor(Math.log10(Math.abs(value))));
}
