import type { Device } from './device.ts';

/** A device as a remote monitoring and management system knows it. */
export interface RmmDevice {
  rmmDeviceId: string;
  name: string;
  type: Device['type'];
  online: boolean | null;
  lastSeen: string | null;
  /** What the system knows beyond that: operating system, model, memory in bytes, ... */
  facts: Record<string, unknown>;
}

/** An answer of a system that can't do what was asked, with the reason in a sentence. */
export interface Unsupported {
  kind: 'unsupported';
  reason: string;
}

/** Systems differ: one answers with the output, one with a handle to ask later, most not at all. */
export type CommandAnswer =
  | { kind: 'output'; stdout: string; exitCode: number | null }
  | { kind: 'handle'; handle: string }
  | Unsupported;

/** No system installs its agent by itself; it gives out an installer that a person or a tool runs. */
export type DeployAnswer = { kind: 'installer'; url: string } | Unsupported;

/** The contract that every RMM adapter fulfils. */
export interface RmmAdapter {
  readonly name: string;
  listDevices(clientId: string, signal: AbortSignal): Promise<RmmDevice[]>;
  executeCommand(device: RmmDevice, command: string, signal: AbortSignal): Promise<CommandAnswer>;
  deployAgent(clientId: string, signal: AbortSignal): Promise<DeployAnswer>;
}
