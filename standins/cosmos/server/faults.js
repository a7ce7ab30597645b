// Which faults does a test inject, and which requests arrived? For tests, under /__faults and /__requests.

const { Refusal } = require("./refusal");

const LOG_LIMIT = 10_000;

// A fault: {status?, substatus?, retryAfterMs?, when: "before" | "after" | "lost", path?, method?, times?, skip?}.
// "before" rejects the request; "after" executes it and answers with the status; "lost" executes it and closes the
// connection.
class Faults {
  constructor() {
    this.planned = [];
    this.requests = [];
  }

  plan(faults) {
    this.planned = faults.map(fault => ({ times: 1, skip: 0, when: "before", ...fault }));
  }

  next(request) {
    const fault = this.planned.find(each => each.times > 0 && fits(each, request));
    if (!fault) return undefined;
    if (fault.skip > 0) {
      fault.skip -= 1;
      return undefined;
    }
    fault.times -= 1;
    return fault;
  }

  record(entry) {
    this.requests.push(entry);
    if (this.requests.length > LOG_LIMIT) this.requests.shift();
  }

  answer(request) {
    if (request.path === "/__faults" && request.method === "PUT") return this.plan(request.json) ?? { planned: this.planned };
    if (request.path === "/__faults") return { planned: this.planned };
    if (request.path === "/__requests" && request.method === "DELETE") this.requests = [];
    if (request.path === "/__requests") return { requests: this.requests };
    return undefined;
  }
}

const fits = ({ method, path }, request) =>
  (!method || method === request.method) && (path ? new RegExp(path).test(request.path) : request.path.includes("/docs"));

function refusalOf({ status, substatus, retryAfterMs }) {
  const refusal = new Refusal(status, "a planned fault", substatus);
  refusal.retryAfterMs = retryAfterMs;
  return refusal;
}

module.exports = { Faults, refusalOf };
