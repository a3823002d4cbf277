import { DomainError } from '../errors.ts';
import type { ProbeTarget } from '../ports.ts';

type Node = Pick<ProbeTarget, 'id' | 'name' | 'metadata'>;

/** The devices that each depends on; `metadata.dependsOn` names them by name or id. Those that are gone are left out. */
function parents(devices: readonly Node[]): Map<string, string[]> {
  const byName = new Map(
    devices.flatMap((d) => [[d.name.toLowerCase(), d.id] as const, [d.id, d.id] as const]),
  );
  return new Map(
    devices.flatMap((device) => {
      const named = device.metadata.dependsOn ?? [];
      if (named.length === 0) return [];
      const ids = named.flatMap((name) => byName.get(name) ?? byName.get(name.toLowerCase()) ?? []);
      return [[device.id, ids.filter((id) => id !== device.id)] as const];
    }),
  );
}

/**
 * Tells whether a device lies behind one that is down, however many steps away.
 *
 * @param isDown whether a device itself does not answer; asked anew each time
 */
export function behindDown(
  devices: readonly Node[],
  isDown: (deviceId: string) => boolean,
): (deviceId: string) => boolean {
  const above = parents(devices);
  if (above.size === 0) return () => false;
  const cut = (deviceId: string, seen: ReadonlySet<string>): boolean =>
    (above.get(deviceId) ?? []).some(
      (parent) => !seen.has(parent) && (isDown(parent) || cut(parent, new Set([...seen, parent]))),
    );
  return (deviceId) => cut(deviceId, new Set([deviceId]));
}

/** The same answers with those that others depend on before them. */
export function parentsFirst<T extends { device: { id: string } }>(
  answers: readonly T[],
  devices: readonly Node[],
): T[] {
  const above = parents(devices);
  if (above.size === 0) return [...answers];
  const depth = (id: string, seen: ReadonlySet<string>): number =>
    Math.max(0, ...(above.get(id) ?? []).map((p) => (seen.has(p) ? 0 : 1 + depth(p, new Set([...seen, p])))));
  return answers
    .map((answer) => ({ answer, depth: depth(answer.device.id, new Set()) }))
    .sort((a, b) => a.depth - b.depth)
    .map(({ answer }) => answer);
}

/** Refuses a dependency on a device that the client has not, or one that leads back to itself. Throws VALIDATION. */
export function assertDependencies(devices: readonly Node[], device: Node): void {
  const others = devices.filter((d) => d.id !== device.id);
  const all = [...others, device];
  for (const name of device.metadata.dependsOn ?? []) {
    const found = others.some((d) => d.id === name || d.name.toLowerCase() === name.toLowerCase());
    if (found) continue;
    throw new DomainError(
      'VALIDATION',
      `${device.name} can't depend on "${name}": the client has no other device of that name.`,
      {
        hint: 'See the names with: msp-toolkit device list',
      },
    );
  }
  const above = parents(all);
  const reaches = (id: string, seen: Set<string>): boolean =>
    (above.get(id) ?? []).some((p) => {
      if (p === device.id) return true;
      if (seen.has(p)) return false;
      seen.add(p);
      return reaches(p, seen);
    });
  if (reaches(device.id, new Set())) {
    throw new DomainError('VALIDATION', `${device.name} would depend on itself by way of others.`);
  }
}
