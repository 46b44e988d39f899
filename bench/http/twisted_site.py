#!/usr/bin/python3
"""Plaintext over HTTP with Twisted web: one resource for each page below /page. Fast options: the epoll
reactor, no access log; the length is set by `render`."""
from twisted.internet import epollreactor

epollreactor.install()
from twisted.internet import reactor  # noqa: E402
from twisted.web import resource, server  # noqa: E402


class Page(resource.Resource):
    isLeaf = True

    def __init__(self, body):
        super().__init__()
        self.body = body

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return self.body


class QuietSite(server.Site):
    def log(self, request):
        pass


root = resource.Resource()
pages = resource.Resource()
root.putChild(b"page", pages)
for i in range(20):
    pages.putChild(b"%02d" % i, Page(b"Hello, page %02d" % i))
port = reactor.listenTCP(0, QuietSite(root), interface="127.0.0.1", backlog=4096)
print("port", port.getHost().port, flush=True)
reactor.run()
