import type { Scenario } from "../scenario.ts";
import { clock } from "./clock.ts";
import { cluster, failover } from "./failover.ts";
import { disk } from "./disk.ts";
import { kills } from "./kills.ts";
import { power } from "./power.ts";
import { proxy } from "./proxy.ts";
import { queues } from "./queues.ts";
import { zombies } from "./zombies.ts";

/** Every way to break the fleet. */
export const scenarios: readonly Scenario[] = [kills, zombies, proxy, power, queues, failover, cluster, clock, disk];
