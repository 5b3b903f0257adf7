import type { ScheduleOutcome, ScheduleRequest, Schedules, ScheduleView } from "@flotilla/workflow";

/** `Schedules` in memory for the tests of the HTTP layer: it keeps what it is told and starts nothing. */
export class MemorySchedules implements Schedules {
  /** What the next one comes to, in place of being stored. */
  refusal: ScheduleOutcome | undefined;
  readonly #kept = new Map<string, { tenant: string; view: ScheduleView }>();

  async create(tenant: string, { cron, timeZone, request }: ScheduleRequest): Promise<ScheduleOutcome> {
    if (this.refusal) return this.refusal;
    const id = `sch_${String(this.#kept.size).padStart(26, "0")}`;
    const at = "2026-01-01T00:00:00.000Z";
    const schedule: ScheduleView = { id, cron, timeZone, createdAt: at, nextAt: at, request };
    this.#kept.set(id, { tenant, view: schedule });
    return { kind: "stored", schedule, isNew: true };
  }

  async list(tenant: string) {
    const own = [...this.#kept.values()].filter((kept) => kept.tenant === tenant);
    return own.map(({ view: { request: _, ...summary } }) => summary);
  }

  async get(tenant: string, id: string) {
    const kept = this.#kept.get(id);
    return kept?.tenant === tenant ? kept.view : undefined;
  }

  async remove(tenant: string, id: string) {
    return this.#kept.get(id)?.tenant === tenant && this.#kept.delete(id);
  }
}
