import { type Issue, jsonPointer, type ScheduleRequest } from "@flotilla/workflow";
import { CronExpressionParser } from "cron-parser";

/** When something comes again and again. */
export type Cron = Pick<ScheduleRequest, "cron" | "timeZone">;

/** What is wrong with it; all times are given in ms since the epoch. */
export function cronIssues({ cron, timeZone }: Cron, now: number): Issue[] {
  const issue = (field: string, message: string) => ({ path: jsonPointer([field]), code: "invalid-value", message });
  if (!isTimeZone(timeZone)) return [issue("timeZone", "is no time zone that is known, such as Europe/Berlin")];
  // Seconds, and words such as @daily, would pass the parser.
  if (cron.trim().split(/\s+/).length !== 5) {
    return [issue("cron", "must be five fields: minute, hour, day of month, month, day of week")];
  }
  try {
    nextSlot({ cron, timeZone }, now);
    return [];
  } catch (error) {
    return [issue("cron", error instanceof Error ? error.message : "is no time that ever comes")];
  }
}

/** The first slot after a time. Throws where none ever comes. */
export function nextSlot(cron: Cron, after: number): number {
  return expression(cron, after).next().getTime();
}

/** The last slot up to a time, not before `earliest`, which is one. */
export function lastSlot(cron: Cron, until: number, earliest: number): number {
  // `prev` gives what lies before its time, which may be a slot itself.
  return Math.max(
    earliest,
    expression(cron, until + 1)
      .prev()
      .getTime(),
  );
}

function expression({ cron, timeZone }: Cron, currentDate: number) {
  return CronExpressionParser.parse(cron, { currentDate: new Date(currentDate), tz: timeZone });
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
