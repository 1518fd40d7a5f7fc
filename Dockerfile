# The image has two static programs and nothing else. The Deployment runs jupyter-user-webhook serve. The init container of
# every notebook Pod runs jupyter-user-init. make image builds the image for linux/amd64 or linux/arm64.
#
# The image is reproducible: the same sources, Go version, VERSION and REVISION give the same digest on any machine, so
# anyone can check an image by building it again. The container engine must write no times into the image. With buildah and
# podman, make image uses --timestamp 0. With docker buildx use SOURCE_DATE_EPOCH=0 and an output with
# rewrite-timestamp=true.
#
# BUILDER is the only base image. Only the programs that are compiled in it get into the result. A tag can name another image
# later. So for an image that others build again, pin BUILDER by digest:
# --build-arg BUILDER=docker.io/library/golang:1.26.8@sha256:… (docker buildx imagetools inspect prints the digest of a tag).
# If golang:1.26.8 cannot be pulled, use any image with the same version of Go.
ARG BUILDER=docker.io/library/golang:1.26.8
# The compiler runs on the platform of this machine and compiles for the target platform. Go needs no emulator for that.
FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
WORKDIR /src
# The modules come first, because they change less often than the sources. So their layer stays in the cache.
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY webhook webhook
COPY certs certs
# The container engine sets TARGETOS and TARGETARCH to the target platform. They have no default value, because BuildKit
# would use a default value in place of the target platform.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=v0.2.0
ARG REVISION=
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=${VERSION} -X main.commit=${REVISION}" -o /out/ ./cmd/...

FROM scratch
ARG VERSION=v0.2.0
ARG REVISION=
# There is no label with the date of creation, because it would change the digest with every build.
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
