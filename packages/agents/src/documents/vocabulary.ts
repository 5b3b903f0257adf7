/** Words that say how a sentence is built and not what it is about. */
export const stopWords: ReadonlySet<string> = new Set(
  `a an the this that these those it its itself they them their theirs he him his she her hers we us our ours you your
  yours i me my mine who whom whose which what when where why how whether if then else than as at by for from in into of
  off on onto out over per to toward towards under until up upon via with within without about above across after
  against along among around before behind below beneath beside besides between beyond during except inside near
  outside since through throughout is are was were be been being am isn aren wasn weren do does did doing done don
  doesn didn have has had having haven hasn hadn can could cannot couldn may might must shall should shouldn will would
  wouldn won ll ve re and or nor but so yet not no yes any some all each every both either neither such another more most less least many much few lot lots there here also too very just only even still again ever
  sure please tell me let own one ones thing things anything something nothing everything anyone someone everyone anybody
  somebody everybody nobody regarding concerning happen happens happened happening occur occurs`.split(/\s+/u),
);

/** Words so general that a passage may answer the question and have another in their place. */
export const weakWords: ReadonlySet<string> = new Set(
  `use uses used using usage work works worked working make makes made making get gets getting got give gives given
  giving take takes taken taking go goes going gone come comes put puts set sets keep keeps kept need needs needed want
  wants know knows known mean means meant explain explains describe describes described show shows say says said called
  call name named handle handles handled handling deal deals way ways kind kinds type types sort part parts case cases
  example examples reason reasons purpose detail details information overview summary list main important different
  difference possible able best good better right long short big large small old new first last next times often
  number amount value values exactly actually really currently usually available support supports supported
  provide provides provided allow allows allowed require requires required person people somebody try tries trying
  other same find finds look looks see sees think like become becomes involve involves role document documents documentation middle course event fact
  point place side docs text page default defaults
  city town country place year date day time colour color language company animal thing person man woman people`.split(
    /\s+/u,
  ),
);

/** Endings that the Porter stemmer leaves apart though the words belong together: `storage` and `store`. */
export const derivations: readonly (readonly [ending: string, others: readonly string[]])[] = [
  ["ure", ["", "ed"]],
  ["il", ["ilure"]],
  ["ailed", ["ailure"]],
  ["age", ["e", ""]],
  ["ore", ["orage"]],
  ["ored", ["orage"]],
  ["ery", ["er"]],
  ["ver", ["very"]],
  ["vers", ["very"]],
  ["vered", ["very"]],
  ["iry", ["ire"]],
  ["iration", ["ire"]],
  ["ire", ["iry", "iration"]],
  ["ires", ["iry", "iration"]],
  ["ired", ["iry", "iration"]],
  ["oval", ["ove"]],
  ["ove", ["oval"]],
  ["oved", ["oval"]],
  ["oves", ["oval"]],
  ["ewal", ["ew"]],
  ["ew", ["ewal"]],
  ["ewed", ["ewal"]],
  ["ance", ["", "e"]],
  ["ence", ["", "e"]],
  ["ption", ["be", "pt"]],
  ["scribe", ["scription"]],
  ["duction", ["duce"]],
  ["duce", ["duction"]],
  ["ction", ["ct"]],
  ["ication", ["y"]],
  ["ify", ["ification"]],
  ["ified", ["ification"]],
  ["y", ["ier", "iest"]],
  ["ier", ["y"]],
  ["iest", ["y"]],
  ["en", [""]],
  ["ens", [""]],
  ["ency", ["ent"]],
  ["ancy", ["ant"]],
  ["ity", ["", "e"]],
  ["vement", ["ve"]],
  ["yse", ["ysis", "yze"]],
  ["yze", ["ysis", "yse"]],
  ["ysis", ["yse", "yze"]],
  ["our", ["or"]],
  ["ise", ["ize"]],
  ["ised", ["ized"]],
  ["ize", ["ise"]],
  ["isation", ["ization"]],
  ["ization", ["isation"]],
];

/** Words that stand for each other in questions about technical and everyday texts. */
export const synonymGroups: readonly (readonly string[])[] = [
  ["delete", "remove", "erase", "purge"],
  ["begin", "start", "launch"],
  ["stop", "halt", "shutdown", "terminate"],
  ["end", "finish"],
  ["fast", "quick", "rapid", "speed"],
  ["slow", "delay", "latency"],
  ["error", "failure", "fault"],
  ["fail", "crash", "die", "dead", "break"],
  ["install", "setup", "installation"],
  ["cost", "price", "fee", "euro", "eur", "dollar", "usd"],
  ["folder", "directory"],
  ["folders", "directories"],
  ["maximum", "limit", "max", "most"],
  ["minimum", "min", "least"],
  ["config", "configuration", "settings"],
  ["configure", "settings", "set"],
  ["change", "modify", "alter", "edit", "replace", "swap"],
  ["exchange", "replace", "swap"],
  ["create", "make", "build"],
  ["made", "built", "created"],
  ["construct", "build", "built"],
  ["buy", "purchase", "bought"],
  ["car", "vehicle"],
  ["doctor", "physician"],
  ["large", "big", "size"],
  ["license", "licence"],
  ["repair", "fix", "mend"],
  ["retry", "retries", "again"],
  ["interval", "frequency", "every"],
  ["permit", "allow", "permitted", "may"],
  ["forbid", "forbidden", "refuse", "prohibit", "deny"],
  ["need", "require", "necessary", "must"],
  ["password", "passphrase", "credential"],
  ["holiday", "vacation", "leave"],
  ["salary", "pay", "wage"],
  ["employee", "staff", "worker"],
  ["customer", "client"],
  ["found", "founder", "establish", "start"],
  ["invent", "inventor", "create"],
  ["write", "wrote", "author", "written"],
  ["ship", "shipping", "delivery"],
  ["refund", "reimburse", "reimbursement", "repaid"],
  ["expire", "lapse", "timeout"],
  ["choose", "select", "pick", "chosen"],
  ["illness", "sickness", "sick", "ill"],
  ["phone", "telephone"],
  ["boss", "manager", "supervisor"],
  ["eat", "food", "diet", "feed"],
  ["dangerous", "hazardous", "danger", "hazard", "risk"],
  ["send", "transmit", "deliver", "sent"],
  ["reach", "contact"],
  ["answer", "reply", "response"],
  ["lose", "loss", "lost"],
  ["protect", "guard", "secure"],
  ["locate", "location", "lie", "situated"],
  ["tall", "height", "high", "metre", "meter", "feet"],
  ["deep", "depth", "metre", "meter", "feet"],
  ["wide", "width", "metre", "meter", "feet"],
  ["heavy", "weight", "weigh", "kg", "kilogram", "tonne", "ton", "pound"],
  ["old", "age"],
  ["backup", "snapshot", "copy"],
  ["restore", "recover"],
  ["encrypt", "encryption", "cipher"],
  ["postpone", "delay", "move"],
];
