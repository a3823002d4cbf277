/** A cell of RFC 4180. Text that a spreadsheet would take for a formula is marked as text. */
function cell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines of comma-separated values, the names of the columns first. */
export function csvLines(
  head: readonly string[],
  rows: Iterable<readonly (string | number | null)[]>,
): string[] {
  return [head, ...rows].map((row) => row.map(cell).join(','));
}
