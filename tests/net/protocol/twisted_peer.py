"""A Twisted server or client of echo, lines or netstrings: twisted_peer.py server|client KIND [PORT]

A server prints "port N", and ends when its last connection has closed. A client sends its messages, each after
the answer to the one before, checks the answers, and prints "ok N".
"""
import sys

from twisted.internet import endpoints, protocol, reactor
from twisted.protocols import basic

MESSAGES = [bytes(bytearray((i * 7 + k) % 26 + 97 for k in range(n)))
            for i, n in enumerate([0, 1, 2, 10, 255, 1000, 16000, 99, 16384, 5])]
open_connections = 0


class Counted:
    def connectionMade(self):
        global open_connections
        open_connections += 1
        self.begin()

    def connectionLost(self, reason):
        global open_connections
        open_connections -= 1
        if open_connections == 0:
            reactor.stop()

    def begin(self):
        pass


class Echo(Counted, protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class Lines(Counted, basic.LineReceiver):
    def lineReceived(self, line):
        self.sendLine(line)


class Netstrings(Counted, basic.NetstringReceiver):
    def stringReceived(self, string):
        self.sendString(string)


class Int32(Counted, basic.Int32StringReceiver):
    def stringReceived(self, string):
        self.sendString(string)


def asks(base, send, received):
    class Client(base):
        def begin(self):
            self.at = 0
            self.had = b""
            getattr(self, send)(MESSAGES[0]) if MESSAGES[0] or base is not Echo else self.answer(b"")

        def answer(self, data):
            self.had += data
            want = MESSAGES[self.at]
            if self.had != want and (base is not Echo or not want.startswith(self.had)):
                print("wrong answer", self.at, len(self.had), flush=True)
                return self.transport.loseConnection()
            if self.had != want:
                return
            self.had = b""
            self.at += 1
            if self.at == len(MESSAGES):
                print("ok", self.at, flush=True)
                return self.transport.loseConnection()
            message = MESSAGES[self.at]
            self.transport.write(message) if base is Echo else getattr(self, send)(message)

    setattr(Client, received, Client.answer)
    return Client


KINDS = {"echo": (Echo, "write", "dataReceived"), "lines": (Lines, "sendLine", "lineReceived"),
         "netstrings": (Netstrings, "sendString", "stringReceived"),
         "int32": (Int32, "sendString", "stringReceived")}
role, kind = sys.argv[1:3]
base = KINDS[kind][0]
if role == "server":
    endpoint = endpoints.serverFromString(reactor, "tcp:0:interface=127.0.0.1")
    endpoint.listen(protocol.Factory.forProtocol(base)).addCallback(
        lambda port: print("port", port.getHost().port, flush=True))
else:
    endpoint = endpoints.clientFromString(reactor, "tcp:127.0.0.1:" + sys.argv[3])
    endpoint.connect(protocol.Factory.forProtocol(asks(*KINDS[kind]))).addErrback(
        lambda failure: (print(failure, flush=True), reactor.stop()))
reactor.run()
