import { DomainError } from '../../domain/errors.ts';
import { admission } from '../../domain/job.ts';
import type { JobRow } from '../../domain/storage/job-statements.ts';
import type { Statements } from '../../domain/storage/statements.ts';
import { defaultPlaces, type JobLimits, type QueueName, type Registry } from './define.ts';

/**
 * Of the places in a queue one client may hold at most this share, so that another's jobs find places free: with more
 * they would wait for as long as one of the first client's takes.
 */
const clientShare = 0.5;

/**
 * Jobs of a client that may wait in a queue for their next try before no more of its are handed over: once what failed
 * them is mended, another client's must not find thousands before it.
 */
const retriesPerLane = 50;

/** Jobs handed to the queue for each place in it: one that runs and some that wait, so that no place falls idle. */
const handedOverPerPlace = 4;

/** Who asks for admission, and until when what was admitted is theirs to hand over. Times are ISO 8601. */
export interface AdmissionRequest {
  owner: string;
  until: string;
  places: Record<QueueName, number>;
  limitsOf(type: string): JobLimits;
  /** At most so many rows. */
  limit: number;
}

/**
 * The limits of each type: those of its policy under those of the configuration. Throws CONFIG_INVALID for a type that
 * does not exist.
 */
export function limitsFrom(
  registry: Registry,
  configured: Record<string, JobLimits>,
): (type: string) => JobLimits {
  const unknown = Object.keys(configured).filter((type) => !registry.job(type));
  if (unknown.length > 0) {
    throw new DomainError(
      'CONFIG_INVALID',
      `jobs.limits names job types that do not exist: ${unknown.join(', ')}.`,
      {
        details: { unknown, known: registry.jobTypes() },
        hint: `Known are: ${registry.jobTypes().join(', ')}.`,
      },
    );
  }
  return (type) => {
    const policy = registry.job(type);
    return {
      atOnce: configured[type]?.atOnce ?? policy?.atOnce,
      perClient: configured[type]?.perClient ?? policy?.perClient,
    };
  };
}

/** The places of all live processes together; what one process has by itself where none runs. */
export function placesOf(processes: readonly Partial<Record<string, number>>[]): Record<QueueName, number> {
  const sum = (name: QueueName) =>
    processes.reduce((total, places) => total + (places[name] ?? 0), 0) || defaultPlaces[name];
  return { general: sum('general'), probe: sum('probe'), render: sum('render'), mail: sum('mail') };
}

/**
 * Whether a job may start that holds no place any more, having waited for its next try: another may have taken what its
 * type's limits allow.
 */
export function mayStart(tx: Statements, id: string, limitsOf: (type: string) => JobLimits): boolean {
  const row = tx.placeOf(id);
  if (!row || row.admitted !== admission.none) return true;
  const { atOnce, perClient } = limitsOf(row.type);
  if (atOnce === undefined && perClient === undefined) return true;
  const others = tx.heldPlaces(row.queue).filter(({ type }) => type === row.type);
  const inLane = others.filter(({ lane }) => lane === row.lane);
  return (
    (atOnce === undefined || others.length < atOnce) && (perClient === undefined || inLane.length < perClient)
  );
}

/**
 * Chooses which waiting rows of a queue go next and gives them a place. The backlog stays in the database; the lane (the
 * client) that holds least goes first, and of those that hold as much the one whose last turn is longest ago.
 *
 * @param types the job types this version knows; rows of others are left to a newer one
 */
export function admit(
  tx: Statements,
  queue: QueueName,
  types: readonly string[],
  request: AdmissionRequest,
): JobRow[] {
  const lanes = tx.waitingLanes(queue);
  if (lanes.length === 0 || types.length === 0) return [];
  const held = tx.heldPlaces(queue);
  const inLane = new Map(lanes.map((lane) => [lane, 0]));
  const ofType = new Map<string, number>();
  const ofTypeInLane = new Map<string, number>();
  const add = (lane: string, type: string) => {
    inLane.set(lane, (inLane.get(lane) ?? 0) + 1);
    ofType.set(type, (ofType.get(type) ?? 0) + 1);
    ofTypeInLane.set(`${lane} ${type}`, (ofTypeInLane.get(`${lane} ${type}`) ?? 0) + 1);
  };
  for (const { lane, type } of held) add(lane, type);

  const places = request.places[queue];
  const perLane = Math.max(1, Math.floor(places * clientShare));
  let free = Math.min(
    request.limit,
    places * handedOverPerPlace - held.filter((h) => h.admitted === admission.placed).length,
  );
  const mayGo = (lane: string) =>
    types.filter((type) => {
      const { atOnce, perClient } = request.limitsOf(type);
      return (
        (atOnce === undefined || (ofType.get(type) ?? 0) < atOnce) &&
        (perClient === undefined || (ofTypeInLane.get(`${lane} ${type}`) ?? 0) < perClient)
      );
    });

  const admitted: JobRow[] = [];
  const turns = tx.laneTurns(queue);
  let turn = Math.max(0, ...turns.values());
  const retries = tx.waitingForRetry(queue);
  const open = new Set(lanes.filter((lane) => (retries.get(lane) ?? 0) < retriesPerLane));
  const before = (a: string, b: string) =>
    (inLane.get(a) ?? 0) - (inLane.get(b) ?? 0) || (turns.get(a) ?? 0) - (turns.get(b) ?? 0);
  while (free > 0 && open.size > 0) {
    const lane = [...open].reduce((a, b) => (before(b, a) < 0 ? b : a));
    const allowed = (inLane.get(lane) ?? 0) < perLane || lane === '' ? mayGo(lane) : [];
    const next = allowed.length > 0 ? tx.nextWaiting(queue, lane, allowed) : undefined;
    if (!next) {
      open.delete(lane);
      continue;
    }
    admitted.push(tx.admitJob(next.id, request.owner, request.until));
    add(lane, next.type);
    free -= 1;
    turn += 1;
    turns.set(lane, turn);
    // Nobody to take turns with.
    if (lanes.length > 1) tx.putLaneTurn(queue, lane, turn);
  }
  return admitted;
}
