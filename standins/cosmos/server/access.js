// Is this request authorized? By the account's key, or by a token of an issuer whose keys are known.

const { createHmac, createPublicKey, timingSafeEqual, verify } = require("crypto");
const { readFileSync } = require("fs");
const { Refusal } = require("./refusal");

const CLOCK_SKEW_S = 15 * 60;

function resource(path) {
  const names = path.split("/").filter(Boolean).map(decodeURIComponent);
  const feed = names.length % 2 === 1;
  return { type: (feed ? names.at(-1) : names.at(-2)) ?? "", link: (feed ? names.slice(0, -1) : names).join("/") };
}

function checkKey(signature, request, masterKey) {
  const date = request.headers["x-ms-date"] ?? "";
  if (!(Math.abs(Date.parse(date) - Date.now()) < CLOCK_SKEW_S * 1000)) throw new Refusal(403, "the request's date is not now");
  const { type, link } = resource(request.path);
  const text = `${request.method.toLowerCase()}\n${type}\n${link}\n${date.toLowerCase()}\n\n`;
  const wanted = createHmac("sha256", Buffer.from(masterKey, "base64")).update(text).digest();
  const given = Buffer.from(signature, "base64");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new Refusal(401, "The input authorization token can't serve the request. The key is wrong.");
  }
}

function checkToken(token, { jwks, audience }) {
  const [header, payload, signature] = token.split(".");
  const decode = part => JSON.parse(Buffer.from(part ?? "", "base64url"));
  const { alg, kid } = decode(header);
  const entry = JSON.parse(readFileSync(jwks)).keys.find(each => each.kid === kid);
  if (alg !== "RS256" || !entry) throw new Refusal(401, "the token is of no issuer known here");
  const key = createPublicKey({ key: entry, format: "jwk" });
  const signed = Buffer.from(`${header}.${payload}`);
  if (!verify("RSA-SHA256", signed, key, Buffer.from(signature ?? "", "base64url"))) throw new Refusal(401, "the token is forged");
  const { aud, exp, nbf = 0 } = decode(payload);
  const now = Date.now() / 1000;
  if (!audience.includes(String(aud).replace(/\/$/, "")) || !(nbf - 60 < now && now < exp)) {
    throw new Refusal(401, "the token is not for this account or not for now");
  }
}

// Throws a Refusal with 401 or 403; `jwks` is the path of the issuer's public keys, null if no token is accepted.
function check(request, { masterKey, jwks, audience }) {
  const given = new URLSearchParams(decodeURIComponent(request.headers.authorization ?? "").replaceAll("+", "%2B"));
  const [type, signature] = [given.get("type"), given.get("sig") ?? ""];
  if (type === "master" && masterKey) return checkKey(signature, request, masterKey);
  if (type !== "aad" || !jwks) throw new Refusal(401, "Required Header authorization is missing. Ensure a valid token is passed.");
  try {
    return checkToken(signature, { jwks, audience });
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(401, "the token can't be read");
  }
}

module.exports = { check };
