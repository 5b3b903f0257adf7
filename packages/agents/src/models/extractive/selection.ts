/** Something to choose from: what it says, how well it fits, and where it comes from. */
export interface Choice {
  text: string;
  score: number;
  path: string;
  /** What it serves: a choice that serves something new is worth more. */
  serves: string;
}

/** How much closeness to what is already chosen counts against the score. */
const redundancyWeight = 0.35;
/** What is as like as this says the same. */
const sameness = 0.7;

/**
 * Chooses up to `most`, best first, each for what it adds (maximal marginal relevance, Carbonell and Goldstein 1998):
 * its score, less its likeness to those chosen, with a little extra for a new document and for what is not served yet.
 */
export function chooseDiverse<T extends Choice>(choices: readonly T[], most: number): T[] {
  const left = [...choices];
  const chosen: T[] = [];
  while (chosen.length < most) {
    const ranked = left
      .map((choice) => ({ choice, worth: marginalWorth(choice, chosen) }))
      .filter(({ choice }) => !chosen.some((other) => saysTheSame(choice.text, other.text)));
    const best = ranked.reduce<(typeof ranked)[number] | undefined>(
      (top, entry) => (top === undefined || entry.worth > top.worth ? entry : top),
      undefined,
    );
    if (!best) break;
    chosen.push(best.choice);
    left.splice(left.indexOf(best.choice), 1);
  }
  return chosen;
}

/** Whether two texts are the same but for a few words. Those with other figures never are: they may contradict. */
export function saysTheSame(a: string, b: string): boolean {
  if (figuresOf(a) !== figuresOf(b)) return false;
  const [first, second] = [wordsOf(a), wordsOf(b)];
  const shared = countShared(first, second);
  const isContained = shared / Math.max(1, Math.min(first.size, second.size)) >= 0.92;
  return isContained || likeness(a, b) >= sameness;
}

/** Whether all that one text says stands word for word in the other, marks apart. */
export function isHeldBy(text: string, other: string): boolean {
  return ` ${wordRun(other)} `.includes(` ${wordRun(text)} `);
}

/** Without the choices that another one holds, which takes over the best score among them. */
export function absorbHeld<T extends Choice>(choices: readonly T[]): T[] {
  return choices
    .filter(
      (choice) => !choices.some((other) => isHeldBy(choice.text, other.text) && !isHeldBy(other.text, choice.text)),
    )
    .map((choice) => {
      const held = choices.filter((other) => isHeldBy(other.text, choice.text));
      return { ...choice, score: Math.max(choice.score, ...held.map(({ score }) => score)) };
    });
}

function marginalWorth(choice: Choice, chosen: readonly Choice[]): number {
  const redundancy = Math.max(0, ...chosen.map((other) => likeness(choice.text, other.text)));
  const isNewPlace = chosen.every((other) => other.path !== choice.path);
  const isNewService = chosen.every((other) => other.serves !== choice.serves);
  return choice.score - redundancyWeight * redundancy + (isNewPlace ? 0.03 : 0) + (isNewService ? 0.1 : 0);
}

/** Share of words in common (Jaccard). */
function likeness(a: string, b: string): number {
  const [first, second] = [wordsOf(a), wordsOf(b)];
  const shared = countShared(first, second);
  return shared / Math.max(1, first.size + second.size - shared);
}

function countShared(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  return [...a].filter((word) => b.has(word)).length;
}

function figuresOf(text: string): string {
  return (text.match(/\p{N}+/gu) ?? []).join(" ");
}

function wordsOf(text: string): Set<string> {
  return new Set(wordList(text));
}

function wordRun(text: string): string {
  return wordList(text).join(" ");
}

function wordList(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}
