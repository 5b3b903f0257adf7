import { type Failpoint, failpointsOf } from "@flotilla/testkit/failpoints";
import { MortalFleet } from "./mortal-fleet.ts";
import { type Mortal, mortals } from "./points.ts";

/** A failpoint of one app's process. */
export interface Place {
  app: Mortal["app"];
  point: Failpoint;
}

/** Every one of them. */
export const places: readonly Place[] = mortals.flatMap(({ app, sources }) =>
  failpointsOf(sources).map((point) => ({ app, point })),
);

/**
 * Kills processes of a fleet at work at each of these failpoints, and checks that everything that was acknowledged ended
 * as it should. Gives back the failpoints that no process came to.
 */
export async function killAt(chosen: readonly Place[]): Promise<Place[]> {
  const fleet = await MortalFleet.start();
  try {
    const missed = await Promise.all(
      mortals.map(async ({ app }) => {
        const own = chosen.filter((place) => place.app === app);
        const left = await fleet.dieAtEach(app, new Set(own.map(({ point }) => point.name)));
        return own.filter(({ point }) => left.has(point.name));
      }),
    );
    await fleet.work.end();
    fleet.work.expectDoneOnce(await fleet.effects());
    return missed.flat();
  } finally {
    await fleet.stop();
  }
}
