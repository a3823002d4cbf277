import type { Catalogue } from '../../domain/check/check-type.ts';
import { backup } from './backup.ts';
import { cpu } from './cpu.ts';
import { disk } from './disk.ts';
import { dns } from './dns.ts';
import { http } from './http.ts';
import { memory } from './memory.ts';
import { network } from './network.ts';
import { ping } from './ping.ts';
import { plugin } from './plugin.ts';
import { services } from './services.ts';
import { tcp } from './tcp.ts';
import { tls } from './tls.ts';
import { updates } from './updates.ts';

/** Every check type there is. A new one is a file and a line here. */
export const catalogue: Catalogue = [
  cpu,
  memory,
  disk,
  services,
  network,
  ping,
  tcp,
  http,
  tls,
  dns,
  backup,
  updates,
  plugin,
];
