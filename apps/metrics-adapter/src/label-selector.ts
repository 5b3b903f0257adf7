/** Whether a set of labels is selected. */
export type LabelSelector = (labels: Readonly<Record<string, string>>) => boolean;

const key = String.raw`[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?`;
const value = String.raw`(?:[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)?`;
const equality = new RegExp(`^(${key})\\s*(==|=|!=)\\s*(${value})$`);
const membership = new RegExp(`^(${key})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const existence = new RegExp(`^(!?)\\s*(${key})$`);

/**
 * The selector that a Kubernetes label selector says, as clients write it into a query: requirements separated by commas,
 * all of which must hold. As there, `!=` and `notin` hold where the label is missing. Undefined for text that is none.
 */
export function parseLabelSelector(text: string): LabelSelector | undefined {
  if (text.trim() === "") return () => true;
  // A comma inside parentheses separates values.
  const requirements = text.split(/,(?![^(]*\))/).map((part) => parseRequirement(part.trim()));
  if (!requirements.every((requirement) => requirement !== undefined)) return undefined;
  return (labels) => requirements.every((holds) => holds(labels));
}

function parseRequirement(text: string): LabelSelector | undefined {
  const equal = equality.exec(text);
  if (equal) {
    const [, name = "", operator, wanted = ""] = equal;
    return (labels) => (labels[name] === wanted) === (operator !== "!=");
  }
  const member = membership.exec(text);
  if (member) {
    const [, name = "", operator, list = ""] = member;
    const wanted = new Set(list.split(",").map((one) => one.trim()));
    return (labels) => (name in labels && wanted.has(labels[name] ?? "")) === (operator === "in");
  }
  const exists = existence.exec(text);
  if (!exists) return undefined;
  const [, not, name = ""] = exists;
  return (labels) => name in labels === (not === "");
}
