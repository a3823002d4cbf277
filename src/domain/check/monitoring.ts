import type { MonitorSettings } from '../settings.ts';
import type { Catalogue } from './check-type.ts';
import type { Recording } from './record.ts';
import { effectiveThresholds, type ThresholdLevel, type ThresholdSettings } from './thresholds.ts';

interface ClientBrief {
  id: string;
  tier: string;
  /** As text. */
  metadata: string;
}

/** The levels at which thresholds can be set for a client's devices, the farthest first. */
export function thresholdLevels(settings: MonitorSettings, client: ClientBrief): ThresholdLevel[] {
  const own = (JSON.parse(client.metadata) as { thresholds?: ThresholdSettings }).thresholds;
  return [
    { from: 'configuration', settings: settings.thresholds },
    { from: `tier ${client.tier}`, settings: settings.tiers[client.tier]?.thresholds },
    { from: `client ${client.id}`, settings: own },
  ];
}

/** How the devices of a client are watched: the checks of those that name none, and how results are judged. */
export function monitoringOf(
  settings: MonitorSettings,
  catalogue: Catalogue,
  client: ClientBrief,
): {
  checks: readonly string[];
  recording: Pick<Recording, 'catalogue' | 'limits' | 'policy' | 'reachability'>;
} {
  return {
    checks: settings.tiers[client.tier]?.checks ?? settings.checks,
    recording: {
      catalogue,
      limits: effectiveThresholds(catalogue, thresholdLevels(settings, client)),
      policy: settings.state,
      reachability: settings.reachability,
    },
  };
}
