// How many request units does an operation cost? An estimate from what the vendor publishes for 1 KB and 100 KB items.

const KB = 1024;
const kilobytes = document => Math.max(1, Buffer.byteLength(JSON.stringify(document ?? null)) / KB);
const between = (small, large) => size => small + ((size - 1) * (large - small)) / 99;
const readUnits = between(1, 10);
const writeUnits = between(5, 50);

// Strong consistency reads from two replicas and costs double.
const READ_FACTOR = 2;
const QUERY_UNITS = 2.3;
const QUERY_UNITS_PER_KB = 0.05;
const REFUSED_UNITS = 1;

const read = document => READ_FACTOR * readUnits(kilobytes(document));
const write = document => writeUnits(kilobytes(document));
const rewrite = document => 2 * write(document);
const query = documents =>
  READ_FACTOR * (QUERY_UNITS + documents.reduce((sum, each) => sum + QUERY_UNITS_PER_KB * kilobytes(each), 0));
const rounded = units => Math.round(units * 100) / 100;

module.exports = { REFUSED_UNITS, query, read, rewrite, rounded, write };
