import { once } from 'node:events';
import { hostname } from 'node:os';
import { type Measurement, unmeasured } from '../../domain/check/check.ts';
import type { Catalogue, CheckType, Finding, MeasureContext, Trend } from '../../domain/check/check-type.ts';
import type { PlannedCheck } from '../../domain/check/plan.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Prober, ProbeTarget } from '../../domain/ports.ts';
import { reasonOf } from './probe.ts';

export interface ProberSettings {
  catalogue: Catalogue;
  clock: Clock;
  forbidden: MeasureContext['forbidden'];
  pluginFolders: readonly string[];
  /** The name of this machine. */
  host?: string;
}

/** Findings of one check, each under a name of its own. */
function named(check: string, findings: readonly Finding[], at: string, ms: number): Measurement[] {
  const seen = new Map<string, number>();
  return findings.map((finding) => {
    const plain = finding.instance ?? '';
    const times = (seen.get(plain) ?? 0) + 1;
    seen.set(plain, times);
    return {
      check,
      instance: times === 1 ? plain : `${plain} #${times}`,
      status: finding.status ?? null,
      message: finding.message,
      values: finding.values ?? [],
      at,
      ms,
    };
  });
}

/**
 * Measures devices from this machine. What can only be measured on the device itself is `unknown` for any that is not
 * this host; so is whatever can't be measured or takes too long, each with the reason.
 */
export function localProber(settings: ProberSettings): Prober {
  const { catalogue, clock } = settings;
  const host = settings.host ?? hostname();
  const now = () => clock.now().toISOString();

  async function measureOne(
    device: ProbeTarget,
    type: CheckType,
    planned: PlannedCheck,
    trend: Record<string, Trend>,
    signal: AbortSignal,
  ): Promise<{ findings: Finding[]; ms: number }> {
    const began = performance.now();
    const done = (findings: Finding[]) => ({ findings, ms: Math.round(performance.now() - began) });
    const failed = (message: string) => done([{ status: 'unknown', message }]);
    if (type.runs === 'on-device' && device.name.toLowerCase() !== host.toLowerCase()) {
      return failed(
        `${device.name} is not this host (${host}), and no RMM that could measure it is configured`,
      );
    }
    const limitMs = type.timeoutMs(planned.settings);
    const limit = AbortSignal.timeout(limitMs);
    const both = AbortSignal.any([signal, limit]);
    const around: MeasureContext = {
      signal: both,
      clock,
      trend,
      forbidden: settings.forbidden,
      pluginFolders: settings.pluginFolders,
    };
    try {
      // A check that does not obey is left behind; its answer counts no more.
      const measuring = type.measure(device, planned.settings, around);
      const findings = await Promise.race([
        measuring,
        once(both, 'abort').then(() => Promise.reject(both.reason)),
      ]);
      return done(findings);
    } catch (error) {
      signal.throwIfAborted();
      return failed(limit.aborted ? `no answer within ${limitMs / 1000} s` : reasonOf(error));
    }
  }

  return {
    async measure(device, wish, signal) {
      const stop = new AbortController();
      const both = AbortSignal.any([signal, stop.signal]);
      try {
        const found = await Promise.all(
          wish.checks.map(async (planned) => {
            const type = catalogue.find((t) => t.name === planned.check);
            if (!type) return { check: planned.check, findings: [], ms: 0 };
            return {
              check: planned.check,
              ...(await measureOne(device, type, planned, { ...wish.trends[planned.check] }, both)),
            };
          }),
        );
        const at = now();
        return [...Map.groupBy(found, (f) => f.check)].flatMap(([check, all]) => {
          const findings = all.flatMap((f) => f.findings);
          if (findings.length === 0) return [unmeasured(check, `this worker knows no check "${check}"`, at)];
          return named(check, findings, at, Math.max(...all.map((f) => f.ms)));
        });
      } finally {
        // Ends the listeners of whatever was left behind.
        stop.abort(new Error('the measurement is over'));
      }
    },
  };
}
