const timeoutMs = 1000;

/** Tasks that a worker process has in hand, as its metrics tell. Rejects where they do not, or not within a second. */
export async function runningTasks(metricsUrl: string): Promise<number> {
  const response = await fetch(metricsUrl, { signal: AbortSignal.timeout(timeoutMs) });
  const series = (await response.text()).matchAll(/^flotilla_running_tasks(?:\{[^}]*\})? (\d+)$/gm);
  const values = Array.from(series, ([, value]) => Number(value));
  if (values.length === 0) throw new Error("a worker does not tell how many tasks it has");
  return values.reduce((sum, value) => sum + value, 0);
}
