# The image: two static programs and nothing else. It is what the Deployment runs (jupyter-user-webhook serve), and what the
# init container of every notebook runs (jupyter-user-init). make image builds it, for linux/amd64 and linux/arm64.
#
# Reproducible: the same sources, Go version, VERSION and REVISION give the same image, to the digest, on any machine and for either
# platform, if the builder writes no times: SOURCE_DATE_EPOCH=0 for docker buildx (with rewrite-timestamp=true), --timestamp=0 for
# buildah and podman. So an image can be checked by building it again.
#
# Its only base is this one, of which nothing but what it builds gets into the image. Pin it by digest for a release:
# --build-arg BUILDER=docker.io/library/golang:1.26.8@sha256:…, with what docker buildx imagetools inspect says of the tag. Where it
# cannot be pulled, any image with this Go will do.
ARG BUILDER=docker.io/library/golang:1.26.8
# The programs are built where the builder runs, for where they are to run: Go needs no emulator for that.
FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
WORKDIR /src
# Modules first: they change less often than the source, and stay in the cache.
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY webhook webhook
COPY certs certs
COPY deploy deploy
ARG TARGETOS=linux
ARG TARGETARCH=amd64
ARG VERSION=v0.2.0
ARG REVISION=
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=${VERSION} -X main.commit=${REVISION}" -o /out/ ./cmd/...

# No shell, no libc, no user database: nothing to run but the two.
FROM scratch
ARG VERSION=v0.2.0
ARG REVISION=
# No date of creation: it would make each build another image.
LABEL org.opencontainers.image.title="jupyter-user-webhook" \
      org.opencontainers.image.description="One label makes a Pod run as a user, with that user's home" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://jupyter-user.io/jupyter-user-webhook" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
USER 65532:65532
ENTRYPOINT ["/jupyter-user-webhook"]
CMD ["serve"]
