// How does what was written outlive the process? One line a change, appended before its answer is sent.

const { appendFileSync, existsSync, readFileSync } = require("fs");

class Journal {
  constructor(path) {
    this.path = path;
  }

  append(entry) {
    appendFileSync(this.path, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  }
}

function entryOf(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

// Plays what was written before; a last line that was cut off counts as never written.
async function recovered(path, play) {
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [""];
  if (lines.at(-1) !== "") appendFileSync(path, "\n");
  for (const entry of lines.map(entryOf)) if (entry) await play(entry);
  return new Journal(path);
}

module.exports = { recovered };
