// What does Microsoft's own Kusto parser say to queries over AppMetrics? JSON from standard input, JSON to standard output.
import fs from "node:fs";
import vm from "node:vm";

const library = new URL("node_modules/@kusto/language-service-next/", import.meta.url);
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(new URL(file, library), "utf8"), { filename: file });
}
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

const columns = "TimeGenerated: datetime, Name: string, Sum: real, Min: real, Max: real, ItemCount: int, AppRoleName: string, Properties: dynamic";
const table = Symbols.TableSymbol.From(`(${columns})`).WithName("AppMetrics");
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", [table]));

function items(list) {
  return Array.from({ length: list?.Count ?? 0 }, (_, index) => list.getItem(index));
}

const found = {};
for (const [name, query] of Object.entries(JSON.parse(fs.readFileSync(0, "utf8")))) {
  const code = KustoCode.ParseAndAnalyze(query, globals);
  found[name] = {
    faults: items(code.GetDiagnostics()).map((each) => each.Message),
    columns: items(code.ResultType?.Columns).map((each) => `${each.Name}: ${each.Type.Name}`),
  };
}
process.stdout.write(JSON.stringify(found));
