import { describeRealRedis } from "@flotilla/testkit";
import { afterAll, beforeAll } from "vitest";
import { badRequestsAreRefused } from "./contract/bad-requests.ts";
import { cancelsHold } from "./contract/cancels.ts";
import { failuresAreJudged } from "./contract/failures.ts";
import { historyGoesOn } from "./contract/history.ts";
import { manyAtOnceHold } from "./contract/load.ts";
import { outputsAreGiven } from "./contract/outputs.ts";
import { plansAreKept } from "./contract/plans.ts";
import { whatHappenedIsRead } from "./contract/reading.ts";
import { theServiceIsDescribed } from "./contract/service.ts";
import { tenantsAreApart } from "./contract/tenants.ts";
import { Fleet, onlyProbes } from "./fleet.ts";

// One fleet for all of it: a few seconds of two cores go into every start.
describeRealRedis("the contract, on a fleet that is up", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ args: onlyProbes() });
  });
  afterAll(() => fleet.dispose());

  const running = () => fleet;
  tenantsAreApart(running);
  plansAreKept(running);
  failuresAreJudged(running);
  outputsAreGiven(running);
  whatHappenedIsRead(running);
  cancelsHold(running);
  historyGoesOn(running);
  badRequestsAreRefused(running);
  theServiceIsDescribed(running);
  manyAtOnceHold(running);
});
