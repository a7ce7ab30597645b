// How do writes survive the end of the process? Each change is one line, appended before its answer is sent.

const { appendFileSync, existsSync, readFileSync } = require("fs");

class Journal {
  constructor(path) {
    this.path = path;
  }

  append(entry) {
    // The time in seconds lets an account be restored to a moment.
    const dated = { at: Date.now() / 1000, ...entry };
    appendFileSync(this.path, `${JSON.stringify(dated)}\n`, { mode: 0o600 });
  }
}

function entryOf(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

// Replays earlier writes; an incomplete last line counts as never written.
async function recovered(path, play) {
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [""];
  if (lines.at(-1) !== "") appendFileSync(path, "\n");
  for (const entry of lines.map(entryOf)) if (entry) await play(entry);
  return new Journal(path);
}

module.exports = { recovered };
