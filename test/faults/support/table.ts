/** A row of the fault table: what is done to the engine, and what must hold all the same. */
export interface Fault {
  fault: string;
  mustHold: string;
}

/** Every fault there is. One that can't be held stays here, and the documentation says so. */
export const faults = {
  killedWorkers: {
    fault: 'kill -9 a random worker every 3 s, 30 times',
    mustHold: '0 acknowledged jobs lost, 1 result row a run, rescue ≤ 20 s',
  },
  killedSteps: { fault: 'kill -9 at each step boundary', mustHold: 'no committed step runs again' },
  killedSubmitters: {
    fault: 'kill -9 whoever submits, at any line, 50 times',
    mustHold: 'every acknowledged job runs, each job that was accepted has one effect',
  },
  killedRedis: {
    fault: 'kill -9 Redis 10 times, 3 s down each',
    mustHold: '0 lost; first job ≤ 5 s after it is back',
  },
  stoppedWorker: {
    fault: 'SIGSTOP for twice the lock, then CONT',
    mustHold: '1 result; the stale attempt is rejected',
  },
  cutRedis: {
    fault: 'cut the Redis connection 30 s',
    mustHold: 'producers fail in ≤ 1 s with a clear error; workers recover by themselves',
  },
  swallowedRedis: {
    fault: 'blackhole the Redis connection 30 s',
    mustHold: 'producers fail in ≤ 1 s with a clear error; workers recover by themselves',
  },
  fullRedis: { fault: 'Redis at maxmemory', mustHold: 'clear error, nothing evicted' },
  fullDisk: { fault: 'disk full, read-only database', mustHold: 'jobs retry, no false success' },
  fourWriters: {
    fault: '4 writer processes, 10,000 transactions',
    mustHold: 'no BUSY surfaces, no lost update',
  },
  fiveSlotsDown: {
    fault: 'everything down over 5 slots',
    mustHold: 'every slot run or recorded as missed, none twice',
  },
  dstNights: { fault: 'both DST nights', mustHold: 'every slot run or recorded, none twice' },
  clockJumps: { fault: 'clock ±1 h', mustHold: 'every slot run or recorded as missed, none twice' },
  stopUnderLoad: {
    fault: 'SIGTERM under load; Ctrl-C to the group',
    mustHold: 'exit within the deadline, nothing duplicated',
  },
  poison: {
    fault: 'a job that kills its worker each time',
    mustHold: "dead-lettered after 12 starts; other jobs' p95 at most doubles",
  },
  droppedMail: {
    fault: 'SMTP drops after DATA',
    mustHold: 'at most 1 duplicate, same Message-ID, flagged',
  },
  killedBrowser: {
    fault: 'kill Chromium mid-PDF 20 times; 500 PDFs in a row',
    mustHold: 'all done, memory flat, no zombie',
  },
  noisyClient: { fault: 'client A 5,000 jobs, client B 5', mustHold: "B's p95 at most twice its idle p95" },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

/** What a fault left, held or not. */
export interface FaultResult extends Fault {
  held: boolean;
  figures: Record<string, number | string>;
  error: string | null;
  seconds: number;
  seed: number;
  scale: 'full' | 'short';
  at: string;
}
