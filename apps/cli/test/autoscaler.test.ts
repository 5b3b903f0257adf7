import type { AgentLoad } from "@flotilla/fleet";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Autoscaler, type Scalable } from "../src/scale/autoscaler.ts";
import { agentHpaFile, readHpa } from "../src/scale/hpa-object.ts";

const spec = await readHpa(agentHpaFile);

class Processes implements Scalable {
  readonly counts = new Map<string, number>();
  readonly log: string[] = [];

  count(agentType: string): number {
    return this.counts.get(agentType) ?? 0;
  }

  add(agentType: string, count: number): void {
    this.counts.set(agentType, this.count(agentType) + count);
    this.log.push(`${agentType}+${count}`);
  }

  async remove(agentType: string, count: number): Promise<void> {
    this.counts.set(agentType, this.count(agentType) - count);
    this.log.push(`${agentType}-${count}`);
  }
}

let processes: Processes;
let loads: () => Promise<readonly AgentLoad[]>;
let autoscaler: Autoscaler;

const load = (agentType: string, backlog: number): AgentLoad => ({ agentType, backlog, workers: 1 });

beforeEach(() => {
  vi.useFakeTimers();
  processes = new Processes();
  processes.counts.set("research", 1).set("review", 3);
  loads = async () => [load("research", 0), load("review", 0), load("planner", 5000)];
  autoscaler = new Autoscaler({
    spec,
    floors: new Map([
      ["research", 1],
      ["review", 3],
    ]),
    loads: () => loads(),
    processes,
    note: () => undefined,
  });
  autoscaler.start();
});
afterEach(() => {
  autoscaler.stop();
  vi.useRealTimers();
});

test("a type grows with its backlog as fast as the policies allow, and no other type with it", async () => {
  loads = async () => [load("research", 500), load("review", 0), load("planner", 5000)];
  await vi.advanceTimersByTimeAsync(6000);
  expect(processes.log).toEqual(["research+4"]);
  await vi.advanceTimersByTimeAsync(16_000);
  expect(processes.log).toEqual(["research+4", "research+5"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(Object.fromEntries(processes.counts)).toEqual({ research: 10, review: 3 });
});

test("it shrinks to what it was started with, and no further, when five minutes wanted no more", async () => {
  loads = async () => [load("research", 500), load("review", 0)];
  await vi.advanceTimersByTimeAsync(31_000);
  loads = async () => [load("research", 0), load("review", 0)];
  await vi.advanceTimersByTimeAsync(290_000);
  expect(processes.count("research")).toBe(10);
  await vi.advanceTimersByTimeAsync(400_000);
  expect(processes.log.slice(2)).toEqual(["research-5", "research-3", "research-1"]);
  expect(Object.fromEntries(processes.counts)).toEqual({ research: 1, review: 3 });
});

test("while the backlog is not known nothing changes", async () => {
  loads = async () => [load("research", 500)];
  await vi.advanceTimersByTimeAsync(31_000);
  loads = () => Promise.reject(new Error("Connection is closed."));
  await vi.advanceTimersByTimeAsync(900_000);
  expect(processes.count("research")).toBe(10);
});

test("a look that takes long is not overtaken by the next", async () => {
  const { promise, resolve } = Promise.withResolvers<readonly AgentLoad[]>();
  let asked = 0;
  loads = () => {
    asked++;
    return promise;
  };
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(1);
  resolve([load("research", 40)]);
  await vi.advanceTimersByTimeAsync(1);
  expect(processes.log).toEqual(["research+1"]);
});

test("once stopped it changes nothing, also where a look was under way", async () => {
  const { promise, resolve } = Promise.withResolvers<readonly AgentLoad[]>();
  loads = () => promise;
  await vi.advanceTimersByTimeAsync(6000);
  autoscaler.stop();
  resolve([load("research", 500)]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(processes.log).toEqual([]);
});
