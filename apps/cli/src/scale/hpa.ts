/**
 * The arithmetic of a Kubernetes horizontal pod autoscaler (`autoscaling/v2`) for `External` metrics with a target of
 * `AverageValue`: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/. Pure: it knows no clock.
 */

/** How fast one direction may go: the change within each policy's period, and for how long wishes are remembered. */
export interface ScalingRules {
  stabilizationMs: number;
  /** Which policy counts: the one that allows the most, the least, or none at all. */
  select: "Max" | "Min" | "Disabled";
  policies: readonly { type: "Pods" | "Percent"; value: number; periodMs: number }[];
}

/** One metric, and how much of it one replica is to have. */
export interface MetricTarget {
  name: string;
  averageValue: number;
}

export interface HpaSpec {
  minReplicas: number;
  maxReplicas: number;
  /** Share by which a metric may be off its target without any consequence. */
  tolerance: number;
  metrics: readonly MetricTarget[];
  scaleUp: ScalingRules;
  scaleDown: ScalingRules;
}

/** What an autoscaler remembers from one turn to the next; times as its caller counts them, in ms. */
export interface HpaMemory {
  /** What the metrics asked for, oldest first. */
  wishes: readonly { at: number; replicas: number }[];
  /** What was done, oldest first; `change` is above zero for both directions. */
  ups: readonly { at: number; change: number }[];
  downs: readonly { at: number; change: number }[];
}

export const emptyMemory: HpaMemory = { wishes: [], ups: [], downs: [] };

/** What there is at a turn. A value that is not known is undefined. */
export interface HpaInput {
  now: number;
  replicas: number;
  values: ReadonlyMap<string, number | undefined>;
}

/** How many replicas there are to be, and what to remember. That they were made so is taken for granted. */
export function decideReplicas(
  spec: HpaSpec,
  memory: HpaMemory,
  { now, replicas, values }: HpaInput,
): { replicas: number; memory: HpaMemory } {
  const wish = wishOf(spec, replicas, values);
  if (wish === undefined) return { replicas, memory };
  if (wish.isForced) return changed(spec, memory, now, replicas, wish.replicas);

  const stable = stabilize(spec, memory, now, replicas, wish.replicas);
  const remembered = { ...memory, wishes: [...memory.wishes, { at: now, replicas: wish.replicas }] };
  return changed(spec, remembered, now, replicas, limit(spec, memory, now, replicas, stable));
}

/** What the metrics ask for; forced where the number is out of bounds or zero, which no metric is asked about. */
function wishOf(
  spec: HpaSpec,
  replicas: number,
  values: HpaInput["values"],
): { replicas: number; isForced: boolean } | undefined {
  // Scaled to zero by somebody: that turns the autoscaler off.
  if (replicas === 0) return { replicas: 0, isForced: true };
  if (replicas > spec.maxReplicas) return { replicas: spec.maxReplicas, isForced: true };
  if (replicas < spec.minReplicas) return { replicas: spec.minReplicas, isForced: true };
  const proposals = spec.metrics.map((metric) => proposal(spec.tolerance, metric, replicas, values.get(metric.name)));
  const known = proposals.filter((one) => one !== undefined);
  if (known.length === 0) return undefined;
  const most = Math.max(...known);
  // A metric that is not known might ask for more: without it nothing is taken away.
  if (known.length < proposals.length && most < replicas) return undefined;
  return { replicas: most, isForced: false };
}

function proposal(tolerance: number, metric: MetricTarget, replicas: number, value?: number): number | undefined {
  if (value === undefined || !Number.isFinite(value)) return undefined;
  const ratio = value / (metric.averageValue * replicas);
  const isNear = ratio >= 1 - tolerance && ratio <= 1 + tolerance;
  return isNear ? replicas : Math.ceil(value / metric.averageValue);
}

/** Up by no more than the least wish of the window, down by no more than the greatest. */
function stabilize(spec: HpaSpec, { wishes }: HpaMemory, now: number, replicas: number, wish: number): number {
  const within = (windowMs: number) => wishes.filter(({ at }) => at > now - windowMs).map((past) => past.replicas);
  const up = Math.min(wish, ...within(spec.scaleUp.stabilizationMs));
  const down = Math.max(wish, ...within(spec.scaleDown.stabilizationMs));
  return Math.min(Math.max(replicas, up), down);
}

/** As near to the wish as policies and bounds allow. */
function limit(spec: HpaSpec, memory: HpaMemory, now: number, replicas: number, wish: number): number {
  if (wish > replicas) {
    const allowed = Math.max(replicas, allowedBy(spec.scaleUp, memory, now, replicas, 1));
    return Math.min(wish, allowed, spec.maxReplicas);
  }
  if (wish < replicas) {
    const allowed = Math.min(replicas, allowedBy(spec.scaleDown, memory, now, replicas, -1));
    return Math.max(wish, allowed, spec.minReplicas);
  }
  return replicas;
}

/** The furthest number that the policies allow, seen from where each of their periods began. */
function allowedBy(rules: ScalingRules, memory: HpaMemory, now: number, replicas: number, sign: 1 | -1): number {
  if (rules.select === "Disabled") return replicas;
  const numbers = rules.policies.map(({ type, value, periodMs }) => {
    const start = replicas - changeSince(memory.ups, now - periodMs) + changeSince(memory.downs, now - periodMs);
    if (type === "Pods") return start + sign * value;
    const share = (start * (100 + sign * value)) / 100;
    return sign > 0 ? Math.ceil(share) : Math.trunc(share);
  });
  const isFurthest = rules.select === "Max";
  return sign > 0 === isFurthest ? Math.max(...numbers) : Math.min(...numbers);
}

function changeSince(events: HpaMemory["ups"], since: number): number {
  return events.filter(({ at }) => at > since).reduce((sum, { change }) => sum + change, 0);
}

function changed(spec: HpaSpec, memory: HpaMemory, now: number, from: number, to: number) {
  const ups = to > from ? [...memory.ups, { at: now, change: to - from }] : memory.ups;
  const downs = to < from ? [...memory.downs, { at: now, change: from - to }] : memory.downs;
  return { replicas: to, memory: withoutOld(spec, { ...memory, ups, downs }, now) };
}

function withoutOld({ scaleUp, scaleDown }: HpaSpec, memory: HpaMemory, now: number): HpaMemory {
  const longest = Math.max(...[...scaleUp.policies, ...scaleDown.policies].map(({ periodMs }) => periodMs), 0);
  const window = Math.max(scaleUp.stabilizationMs, scaleDown.stabilizationMs);
  return {
    wishes: memory.wishes.filter(({ at }) => at > now - window),
    ups: memory.ups.filter(({ at }) => at > now - longest),
    downs: memory.downs.filter(({ at }) => at > now - longest),
  };
}
