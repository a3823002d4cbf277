const hidden = '***';

const secretWord = 'pass(?:word|wd|phrase)|secret|token|api[-_]?key';

/** Names of fields whose value is a secret, whatever it looks like. */
const secretName = new RegExp(`${secretWord}|pass$|authorization|credential|cookie|private[-_]?key`, 'i');

const patterns: [RegExp, string][] = [
  // scheme://user:password@host, also with an empty user as Redis has it, and with an @ in the password
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/]+@/gi, `$1:${hidden}@`],
  [/\b(bearer|basic)\s+[a-z0-9._~+/=-]{6,}/gi, `$1 ${hidden}`],
  // password=x, "password": "x", apiKey: 'x'
  [
    new RegExp(`([\\w-]*(?:${secretWord})\\\\?["']?\\s*[=:]\\s*)(\\\\?"[^"]*"|'[^']*'|[^\\s,;&"'}]+)`, 'gi'),
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
  // A Redis command in an error of ioredis carries what it was sent, passwords too.
  const command = 'name' in plain && 'args' in plain && Array.isArray(plain.args);
  return Object.fromEntries(
    Object.entries(command ? { ...plain, args: hidden } : plain)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => [
        key,
        secretName.test(key) && entry !== null && typeof entry !== 'boolean'
          ? hidden
          : mask(entry, depth + 1),
      ]),
  );
}
