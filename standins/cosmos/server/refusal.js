// What is the answer to a rejected request?

const NAMES = {
  400: "BadRequest",
  401: "Unauthorized",
  404: "NotFound",
  409: "Conflict",
  412: "PreconditionFailed",
  413: "RequestEntityTooLarge",
};

class Refusal extends Error {
  constructor(status, message, substatus) {
    super(message);
    this.status = status;
    this.substatus = substatus;
    this.body = { code: NAMES[status] ?? "Error", message };
  }
}

module.exports = { Refusal };
