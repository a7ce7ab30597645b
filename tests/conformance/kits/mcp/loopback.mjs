// Makes the servers of a program listen on this machine alone, and says which port it is.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ready) {
  this.once("listening", () => console.log(JSON.stringify({ ready: true, port: this.address().port })));
  return listen.call(this, { port, host: "127.0.0.1" }, ready);
};
