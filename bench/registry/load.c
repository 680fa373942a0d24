/*
 * Load on a registry with as little work of its own as can be: threads with blocking sockets, one connection each, and blobs
 * that differ in their last 64 bytes only, so that a digest costs one block of SHA-256.
 *
 *   load HOST PORT MODE CLIENTS COUNT BYTES SEED
 *     MODE push          COUNT new blobs: POST, then PUT with the bytes
 *          pull          COUNT times one of 16 blobs that were pushed with the same SEED before (push 16 first)
 *          head-manifest, get-manifest   COUNT times load/m:latest
 *
 * Prints: seconds, operations a second, MB a second, failures.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t ror(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

static void block(uint32_t h[8], const unsigned char *p)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ (w[i - 15] >> 3)) + w[i - 7] +
               (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ (w[i - 2] >> 10));
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t a = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
        uint32_t b = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 28);
        v[4] += a;
        v[0] = a + b;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

static struct sockaddr_in address;
static const char *mode;
static long count, bytes;
static unsigned seed;
static unsigned char *common; /* bytes - 64 of them, a multiple of 64 */
static uint32_t midstate[8];
static atomic_long next_one, failures;

/* The last 64 bytes of blob `n`, and its digest. */
static void tail(long n, unsigned char out[64], char hex[65])
{
    memset(out, 'x', 64);
    snprintf((char *)out, 64, "%u/%ld/", seed, n);
    uint32_t h[8];
    memcpy(h, midstate, sizeof h);
    block(h, out);
    unsigned char end[64] = {0x80};
    uint64_t bits = (uint64_t)bytes * 8;
    for (int i = 0; i < 8; i++) end[63 - i] = bits >> (8 * i);
    block(h, end);
    for (int i = 0; i < 8; i++) sprintf(hex + 8 * i, "%08x", h[i]);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int send_all(int fd, struct iovec *v, int n)
{
    while (n > 0) {
        ssize_t sent = writev(fd, v, n);
        if (sent < 0) return -1;
        while (n > 0 && (size_t)sent >= v->iov_len) sent -= v++->iov_len, n--;
        if (n > 0) v->iov_base = (char *)v->iov_base + sent, v->iov_len -= sent;
    }
    return 0;
}

/* Reads an answer; returns its status, its head in `head`, its body nowhere. */
static int answer(int fd, char *head, size_t size, int is_head, char *scratch, size_t scratch_size)
{
    size_t have = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = read(fd, head + have, size - 1 - have);
        if (got <= 0) return -1;
        have += got;
        head[have] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    char *length = strcasestr(head, "\r\ncontent-length:");
    long left = length == NULL || is_head ? 0 : atol(length + 17);
    left -= have - (end + 4 - head);
    while (left > 0) {
        ssize_t got = read(fd, scratch, left < (long)scratch_size ? left : (long)scratch_size);
        if (got <= 0) return -1;
        left -= got;
    }
    return atoi(head + 9);
}

static int push(int fd, long n, char *head, size_t size, char *scratch, size_t scratch_size)
{
    unsigned char last[64];
    char hex[65], request[4096];
    tail(n, last, hex);
    int length = snprintf(request, sizeof request, "POST /v2/load/r%ld/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", n % 8);
    struct iovec one = {request, length};
    if (send_all(fd, &one, 1) < 0 || answer(fd, head, size, 0, scratch, scratch_size) != 202) return -1;
    char *location = strcasestr(head, "\r\nlocation: ");
    if (location == NULL) return -1;
    location += 12;
    *strstr(location, "\r\n") = 0;
    char *path = strstr(location, "/v2/");
    length = snprintf(request, sizeof request,
                      "PUT %s%cdigest=sha256:%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: %ld\r\n\r\n",
                      path, strchr(path, '?') ? '&' : '?', hex, bytes);
    struct iovec all[3] = {{request, length}, {common, bytes - 64}, {last, 64}};
    if (send_all(fd, all, 3) < 0) return -1;
    return answer(fd, head, size, 0, scratch, scratch_size) == 201 ? 0 : -1;
}

static int ask(int fd, long n, char *head, size_t size, char *scratch, size_t scratch_size)
{
    char request[1024];
    int length, is_head = strcmp(mode, "head-manifest") == 0;
    if (strcmp(mode, "pull") == 0) {
        unsigned char last[64];
        char hex[65];
        tail(n % 16, last, hex);
        length = snprintf(request, sizeof request, "GET /v2/load/r%ld/blobs/sha256:%s HTTP/1.1\r\nHost: x\r\n\r\n", n % 16 % 8, hex);
    } else
        length = snprintf(request, sizeof request,
                          "%s /v2/load/m/manifests/latest HTTP/1.1\r\nHost: x\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\r\n",
                          is_head ? "HEAD" : "GET");
    struct iovec one = {request, length};
    if (send_all(fd, &one, 1) < 0) return -1;
    return answer(fd, head, size, is_head, scratch, scratch_size) == 200 ? 0 : -1;
}

static void *client(void *unused)
{
    (void)unused;
    size_t scratch_size = 1 << 18;
    char head[1 << 16], *scratch = malloc(scratch_size);
    int fd = dial();
    for (long n; (n = atomic_fetch_add(&next_one, 1)) < count;) {
        int bad = strcmp(mode, "push") == 0 ? push(fd, n, head, sizeof head, scratch, scratch_size)
                                            : ask(fd, n, head, sizeof head, scratch, scratch_size);
        if (bad == 0) continue;
        atomic_fetch_add(&failures, 1);
        close(fd);
        fd = dial();
    }
    close(fd);
    free(scratch);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 8) return 2;
    address.sin_family = AF_INET;
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    address.sin_port = htons(atoi(argv[2]));
    mode = argv[3];
    int clients = atoi(argv[4]);
    count = atol(argv[5]);
    bytes = (atol(argv[6]) + 127) / 64 * 64;
    seed = atoi(argv[7]);
    common = malloc(bytes - 64);
    uint64_t state = 88172645463325252ull;
    for (long i = 0; i < (bytes - 64) / 8; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        memcpy(common + 8 * i, &state, 8);
    }
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(midstate, initial, sizeof initial);
    if (strstr(mode, "manifest") == NULL)
        for (long at = 0; at < bytes - 64; at += 64) block(midstate, common + at);
    struct timespec t0, t1;
    pthread_t threads[256];
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (int i = 0; i < clients; i++) pthread_create(&threads[i], NULL, client, NULL);
    for (int i = 0; i < clients; i++) pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double seconds = (t1.tv_sec - t0.tv_sec) + (t1.tv_nsec - t0.tv_nsec) / 1e9;
    printf("%.3f %.1f %.1f %ld\n", seconds, count / seconds, (double)count * bytes / seconds / 1e6, atomic_load(&failures));
    return 0;
}
