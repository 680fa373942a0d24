/* A listener of seccomp filters, for tests: seccomp-agent SOCKET FOLDER ERRNO. Takes any number of filters; the JSON that
 * came with number n goes to FOLDER/n. Every question is answered with ERRNO, or with "go on" when that is 0. */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST = 16 };

static int take(int listener, const char *folder, int number) {
  static char json[65536];
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  int fd = accept(listener, NULL, NULL), passed = -1;
  size_t length = 0;
  for (;;) {
    struct iovec part = {json + length, sizeof json - length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &message, 0);
    if (n <= 0) break;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&passed, CMSG_DATA(header), sizeof passed);
    length += (size_t)n;
  }
  close(fd);
  char path[4096], final[4096];
  snprintf(path, sizeof path, "%s/%d.new", folder, number);
  snprintf(final, sizeof final, "%s/%d", folder, number);
  FILE *file = fopen(path, "w");
  if (file) fwrite(json, 1, length, file), fclose(file), rename(path, final);
  return passed;
}

static void answer(int fd, int error) {
  struct seccomp_notif question = {0};
  if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &question)) return;
  struct seccomp_notif_resp reply = {.id = question.id, .error = -error};
  if (!error) reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

int main(int count, char **words) {
  if (count != 4) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", words[1]);
  struct pollfd fds[MOST] = {{.fd = socket(AF_UNIX, SOCK_STREAM, 0), .events = POLLIN}};
  if (bind(fds[0].fd, (struct sockaddr *)&address, sizeof address) || listen(fds[0].fd, 8)) return 1;
  int used = 1, number = 0;
  while (poll(fds, (nfds_t)used, 60000) > 0) {
    for (int i = 1; i < used; i++) {
      if (fds[i].revents & POLLIN) answer(fds[i].fd, atoi(words[3]));
      else if (fds[i].revents) fds[i].fd = -1;
    }
    if (!(fds[0].revents & POLLIN)) continue;
    int fd = take(fds[0].fd, words[2], number++);
    if (fd >= 0 && used < MOST) fds[used++] = (struct pollfd){.fd = fd, .events = POLLIN};
  }
  return 0;
}
