# The image: two static programs and nothing else. It is what the Deployment runs (jupyter-user-webhook serve), and what the
# init container of every notebook runs (jupyter-user-init).
#
# Reproducible: the same source, Go version and VERSION give the same programs. Where the builder cannot be pulled, any
# image with Go 1.26 will do: --build-arg BUILDER=….
ARG BUILDER=docker.io/library/golang:1.26
FROM ${BUILDER} AS build
WORKDIR /src
# Modules first: they change less often than the source, and stay in the cache.
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY webhook webhook
COPY certs certs
COPY deploy deploy
ARG VERSION=v0.1.0
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=${VERSION}" -o /out/ ./cmd/...

# No shell, no libc, no user database: nothing to run but the two.
FROM scratch
COPY --from=build /out/ /
USER 65532:65532
ENTRYPOINT ["/jupyter-user-webhook"]
CMD ["serve"]
