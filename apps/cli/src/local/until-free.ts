import { setTimeout as sleep } from "node:timers/promises";
import { isFreePort } from "@flotilla/redis";

/** The processes of a killed fleet hold their ports for up to 2 s more. */
const patienceMs = 3000;

/** Whether the port is free, now or within 3 s. */
export async function untilFree(port: number): Promise<boolean> {
  for (const giveUpAt = Date.now() + patienceMs; ; await sleep(20)) {
    if (await isFreePort(port)) return true;
    if (Date.now() > giveUpAt) return false;
  }
}
