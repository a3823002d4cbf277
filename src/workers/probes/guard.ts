import { BlockList, isIP } from 'node:net';
import type { MeasureContext } from '../../domain/check/check-type.ts';

/**
 * Addresses that checks must not reach unless the configuration says so: link-local ones, and those at which clouds hand
 * out the secrets of a machine to whoever asks from it.
 */
export const deniedByDefault: readonly string[] = [
  '169.254.0.0/16',
  'fe80::/10',
  'fd00:ec2::254/128',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
];

/** Whether a text is a network such as 10.0.0.0/8 or fe80::/10. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix = '', more] = text.split('/');
  const family = isIP(address);
  const bits = Number(prefix);
  return family !== 0 && more === undefined && /^\d+$/.test(prefix) && bits <= (family === 4 ? 32 : 128);
}

/** Says of an address why it must not be reached, or undefined where it may. */
export function addressGuard(denied: readonly string[]): MeasureContext['forbidden'] {
  const lists = denied.map((network) => {
    const [address = '', prefix] = network.split('/');
    const list = new BlockList();
    list.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6');
    return { network, list };
  });
  return (address) => {
    const bare = address.split('%')[0] ?? '';
    const family = isIP(bare);
    if (family === 0) return undefined;
    const hit = lists.find(({ list }) => list.check(bare, family === 4 ? 'ipv4' : 'ipv6'));
    return hit && `${hit.network} is denied (healthChecks.denyNetworks)`;
  };
}
