/*
 * Clients of a registry that cost next to nothing, so that what is measured is the registry: bodies go out by sendfile, what
 * comes in is thrown away in the kernel. One thread and one connection a client, one request at a time.
 *
 * registry-load HOST PORT BODY < plan. A line of the plan is one thing a client does:
 *   CLIENT blob  REPO DIGEST SIZE SEED    POST, PATCH, PUT as docker pushes; content: SEED in 64 bytes, then BODY from byte 64
 *   CLIENT put   REPO TAG MEDIATYPE FILE  a manifest
 *   CLIENT get   PATH SIZE ACCEPT         a GET whose body must have SIZE bytes (0: any); ACCEPT `-` for none
 * Prints: seconds, bytes of bodies, requests, failures. Exit code 1 when anything failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { max_clients = 256, seed_bytes = 64, head_bytes = 16384 };

struct job {
	char words[6][640];
	int count;
	struct job *next;
};

struct client {
	struct job *first, *last;
	pthread_t thread;
	int fd;
	long long bytes, requests, failures;
};

struct answer {
	int status;
	long long length;
	char location[2048];
};

static struct client clients[max_clients];
static struct sockaddr_in address;
static const char *host_text;
static int body_fd;

static int dial(struct client *c)
{
	if (c->fd >= 0)
		return 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct timeval limit = {.tv_sec = 120};
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	return connect(c->fd, (struct sockaddr *)&address, sizeof address);
}

static int send_all(int fd, const char *bytes, size_t length, int flags)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, flags | MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int send_body(int fd, off_t from, long long length)
{
	while (length > 0) {
		ssize_t n = sendfile(fd, body_fd, &from, (size_t)length);
		if (n <= 0)
			return -1;
		length -= n;
	}
	return 0;
}

/* Reads an answer's head and throws its body away. */
static int receive(struct client *c, struct answer *a)
{
	static __thread char head[head_bytes];
	size_t have = 0;
	char *end = NULL;
	while (end == NULL) {
		if (have == sizeof head - 1)
			return -1;
		ssize_t n = recv(c->fd, head + have, sizeof head - 1 - have, MSG_PEEK);
		if (n <= 0)
			return -1;
		head[have + (size_t)n] = 0;
		end = strstr(head, "\r\n\r\n");
		size_t take = end == NULL ? (size_t)n : (size_t)(end + 4 - head) - have;
		if (recv(c->fd, head + have, take, 0) != (ssize_t)take)
			return -1;
		have += take;
	}
	memset(a, 0, sizeof *a);
	a->length = -1;
	int chunked = 0, closes = 0;
	if (sscanf(head, "HTTP/1.1 %d", &a->status) != 1)
		return -1;
	for (char *line = strstr(head, "\r\n"); line != NULL && line < end; line = strstr(line + 2, "\r\n")) {
		char *at = line + 2;
		if (strncasecmp(at, "content-length:", 15) == 0)
			a->length = atoll(at + 15);
		else if (strncasecmp(at, "transfer-encoding: chunked", 26) == 0)
			chunked = 1;
		else if (strncasecmp(at, "connection: close", 17) == 0)
			closes = 1;
		else if (strncasecmp(at, "location: ", 10) == 0)
			sscanf(at + 10, "%2047[^\r]", a->location);
	}
	if (a->status == 204 || a->status == 304)
		a->length = 0;
	/* No registry chunks what is asked for here, and none should. */
	if (chunked && a->length != 0)
		return -1;
	for (long long left = a->length; left > 0;) {
		size_t want = left < (1 << 20) ? (size_t)left : (size_t)1 << 20;
		ssize_t n = recv(c->fd, NULL, want, MSG_TRUNC);
		if (n <= 0)
			return -1;
		left -= n;
	}
	if (closes) {
		close(c->fd);
		c->fd = -1;
	}
	return 0;
}

/* The path of a Location header, which may be a whole URL. */
static const char *path_of(const char *location)
{
	const char *scheme = strstr(location, "://");
	if (scheme == NULL)
		return location;
	const char *slash = strchr(scheme + 3, '/');
	return slash == NULL ? "/" : slash;
}

static int ask(struct client *c, struct answer *a, const char *method, const char *path, const char *headers,
	       long long length, const char *seed)
{
	char head[4096];
	if (dial(c) != 0)
		return -1;
	int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, host_text, headers);
	if (length >= 0)
		n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %lld\r\n", length);
	n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
	c->requests++;
	if (send_all(c->fd, head, (size_t)n, length > 0 ? MSG_MORE : 0) != 0)
		return -1;
	if (length > 0 && seed != NULL) {
		char first[seed_bytes];
		memset(first, ' ', sizeof first);
		memcpy(first, seed, strnlen(seed, sizeof first));
		long long begin = length < seed_bytes ? length : seed_bytes;
		if (send_all(c->fd, first, (size_t)begin, length > begin ? MSG_MORE : 0) != 0 ||
		    send_body(c->fd, seed_bytes, length - begin) != 0)
			return -1;
	}
	return receive(c, a);
}

static int push_blob(struct client *c, struct job *j)
{
	char path[4096];
	struct answer a;
	long long size = atoll(j->words[3]);
	snprintf(path, sizeof path, "/v2/%s/blobs/uploads/", j->words[1]);
	if (ask(c, &a, "POST", path, "", 0, NULL) != 0 || a.status != 202)
		return -1;
	snprintf(path, sizeof path, "%s", path_of(a.location));
	if (ask(c, &a, "PATCH", path, "Content-Type: application/octet-stream\r\n", size, j->words[4]) != 0 || a.status != 202)
		return -1;
	const char *next = path_of(a.location);
	snprintf(path, sizeof path, "%s%cdigest=%s", next, strchr(next, '?') == NULL ? '?' : '&', j->words[2]);
	if (ask(c, &a, "PUT", path, "", 0, NULL) != 0 || a.status != 201)
		return -1;
	c->bytes += size;
	return 0;
}

static int push_manifest(struct client *c, struct job *j)
{
	char path[2048], headers[1024], *bytes;
	struct answer a;
	struct stat st;
	int fd = open(j->words[4], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	bytes = malloc((size_t)st.st_size);
	if (bytes == NULL || read(fd, bytes, (size_t)st.st_size) != st.st_size)
		return -1;
	close(fd);
	char head[4096];
	snprintf(path, sizeof path, "/v2/%s/manifests/%s", j->words[1], j->words[2]);
	snprintf(headers, sizeof headers, "Content-Type: %s\r\n", j->words[3]);
	int n = snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %lld\r\n\r\n", path, host_text,
			 headers, (long long)st.st_size);
	c->requests++;
	int failed = dial(c) != 0 || send_all(c->fd, head, (size_t)n, MSG_MORE) != 0 ||
		     send_all(c->fd, bytes, (size_t)st.st_size, 0) != 0 || receive(c, &a) != 0 || a.status != 201;
	free(bytes);
	return failed ? -1 : 0;
}

static int get(struct client *c, struct job *j)
{
	char headers[512] = "";
	struct answer a;
	long long size = atoll(j->words[2]);
	if (strcmp(j->words[3], "-") != 0)
		snprintf(headers, sizeof headers, "Accept: %.400s\r\n", j->words[3]);
	if (ask(c, &a, "GET", j->words[1], headers, -1, NULL) != 0 || a.status != 200)
		return -1;
	if (size != 0 && a.length != size)
		return -1;
	c->bytes += a.length;
	return 0;
}

static void *work(void *argument)
{
	struct client *c = argument;
	for (struct job *j = c->first; j != NULL; j = j->next) {
		int failed = strcmp(j->words[0], "blob") == 0  ? push_blob(c, j)
			     : strcmp(j->words[0], "put") == 0 ? push_manifest(c, j)
							       : get(c, j);
		if (failed == 0)
			continue;
		c->failures++;
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
	}
	if (c->fd >= 0)
		close(c->fd);
	return NULL;
}

static int read_plan(void)
{
	char line[4096];
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct job *j = calloc(1, sizeof *j);
		int client = 0, used = 0;
		if (j == NULL || sscanf(line, "%d %n", &client, &used) != 1 || client < 0 || client >= max_clients)
			return -1;
		for (char *at = line + used, *save, *word = strtok_r(at, " \n", &save); word != NULL && j->count < 6;
		     word = strtok_r(NULL, " \n", &save))
			snprintf(j->words[j->count++], sizeof j->words[0], "%s", word);
		struct client *c = &clients[client];
		if (c->last == NULL)
			c->first = j;
		else
			c->last->next = j;
		c->last = j;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: registry-load HOST PORT BODY < plan\n");
		return 2;
	}
	host_text = argv[1];
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	body_fd = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1 || body_fd < 0 || read_plan() != 0) {
		fprintf(stderr, "registry-load: bad address, body or plan\n");
		return 2;
	}
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < max_clients; i++) {
		clients[i].fd = -1;
		if (clients[i].first != NULL && pthread_create(&clients[i].thread, NULL, work, &clients[i]) != 0)
			return 2;
	}
	long long bytes = 0, requests = 0, failures = 0;
	for (int i = 0; i < max_clients; i++) {
		if (clients[i].first == NULL)
			continue;
		pthread_join(clients[i].thread, NULL);
		bytes += clients[i].bytes;
		requests += clients[i].requests;
		failures += clients[i].failures;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("{\"seconds\":%.4f,\"bytes\":%lld,\"requests\":%lld,\"failures\":%lld}\n", seconds, bytes, requests, failures);
	return failures == 0 ? 0 : 1;
}
