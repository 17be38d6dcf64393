/* An application in one static program, for images of a few hundred kilobytes. Its words say how it misbehaves:
   app serve [deaf] [code N] [write PATH] [forget] [silent] · app check · app talk PORT · app version · app who */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int number) { ended = number; }

static int on(int port, int (*how)(int, const struct sockaddr *, socklen_t), const char *address)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)};
    int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    inet_pton(AF_INET, address, &place.sin_addr);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (how(s, (struct sockaddr *)&place, sizeof place) == 0)
        return s;
    perror("port");
    exit(1);
}

static void put(const char *path, int flags)
{
    char text[64];
    struct timespec now;
    int file = open(path, O_WRONLY | O_CREAT | flags, 0644), length;
    if (file < 0) {
        if (errno != EEXIST)
            perror(path);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now); /* two lives may begin in one second */
    length = snprintf(text, sizeof text, "%d %ld.%09ld\n", getpid(), (long)now.tv_sec, now.tv_nsec);
    if (write(file, text, length) != length)
        exit(1);
    close(file);
}

static int serve(int count, char **words)
{
    int code = 0, deaf = 0, silent = 0, flags = O_EXCL, s;
    struct sigaction action = {.sa_handler = end};
    for (int i = 0; i < count; i++) {
        deaf |= !strcmp(words[i], "deaf");
        silent |= !strcmp(words[i], "silent");
        if (!strcmp(words[i], "forget"))
            flags = O_TRUNC;
        if (!strcmp(words[i], "code"))
            code = atoi(words[++i]);
        else if (!strcmp(words[i], "write"))
            put(words[++i], O_TRUNC);
    }
    if (deaf)
        action.sa_handler = SIG_IGN;
    sigaction(SIGINT, &action, NULL);
    put("/data/id", flags);
    puts("application is there");
    fflush(stdout);
    if (silent) {
        while (!ended)
            pause();
        return code;
    }
    s = on(8080, bind, "0.0.0.0");
    listen(s, 8);
    while (!ended) {
        int peer = accept(s, NULL, NULL);
        if (peer >= 0 && write(peer, "hello\n", 6) == 6)
            close(peer);
    }
    return code;
}

int main(int count, char **words)
{
    const char *what = count > 1 ? words[1] : "";
    char text[16] = "";
    if (!strcmp(what, "serve"))
        return serve(count - 2, words + 2);
    if (!strcmp(what, "check"))
        return on(8080, connect, "127.0.0.1") < 0;
    if (!strcmp(what, "talk") && read(on(atoi(words[2]), connect, "127.0.0.1"), text, 15) > 0)
        return printf("heard %s", text) < 0;
    if (!strcmp(what, "version"))
        return printf("\033[1mapp 1.0\033[0m\n") < 0;
    if (!strcmp(what, "who"))
        return printf("%d:%d %s\n", getuid(), getgid(), open("/x", O_CREAT | O_WRONLY, 0600) < 0 ? "reads" : "writes") < 0;
    return 64;
}
