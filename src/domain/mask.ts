const hidden = '***';

/** Names of fields whose value is a secret, whatever it looks like. */
const secretName =
  /pass(word|wd|phrase)?$|secret|token|api[-_]?key|authorization|credential|cookie|private[-_]?key/i;

const patterns: [RegExp, string][] = [
  // scheme://user:password@host, also with an empty user as Redis has it
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/@]+@/gi, `$1:${hidden}@`],
  [/\b(bearer|basic)\s+[a-z0-9._~+/=-]{6,}/gi, `$1 ${hidden}`],
  [
    /\b((?:[\w-]*(?:password|passwd|secret|token|api[-_]?key))\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&"']+)/gi,
    `$1${hidden}`,
  ],
];

/** Hides secrets in a text: passwords in URLs, bearer tokens, `password=...` and the like. */
export function maskText(text: string): string {
  return patterns.reduce((masked, [pattern, replacement]) => masked.replace(pattern, replacement), text);
}

/** A copy of `value` in which every secret is hidden, at any depth, by the name of its field or by its form. */
export function mask(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > 8) return '[too deep]';
  if (value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((entry) => mask(entry, depth + 1));
  const plain =
    value instanceof Error
      ? { ...value, name: value.name, message: value.message, stack: value.stack, cause: value.cause }
      : value;
  return Object.fromEntries(
    Object.entries(plain)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => [
        key,
        secretName.test(key) && entry !== null && typeof entry !== 'boolean'
          ? hidden
          : mask(entry, depth + 1),
      ]),
  );
}
