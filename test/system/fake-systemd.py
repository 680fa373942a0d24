"""A stand-in for systemd on a private bus, written with a D-Bus library that is not ours (jeepney).

It owns org.freedesktop.systemd1, does what systemd does for a transient scope on cgroup v1 (makes the scope's directory in
the hierarchy name=systemd and moves the processes in), and logs each call as one JSON line.
Usage: fake-systemd.py BUS_ADDRESS LOG [refuse|silent|failed|leftover]
"""
import json
import os
import sys
from jeepney import HeaderFields, MessageType, new_error, new_method_return, new_signal, DBusAddress
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

address, log_path = sys.argv[1], sys.argv[2]
mood = sys.argv[3] if len(sys.argv) > 3 else ""
manager = DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager")
hierarchy = "/sys/fs/cgroup/systemd"
jobs = 0
leftover = mood == "leftover"
dirs = {}


def log(**entry):
    with open(log_path, "a") as out:
        out.write(json.dumps(entry, default=repr) + "\n")


def slice_path(name):
    words = name[: -len(".slice")].split("-")
    return "".join("/" + "-".join(words[: i + 1]) + ".slice" for i in range(len(words)))


def start_job(connection, call, unit, result):
    global jobs
    jobs += 1
    path = f"/org/freedesktop/systemd1/job/{jobs}"
    connection.send(new_method_return(call, "o", (path,)))
    # Another's job first: the client has to tell them apart.
    for job, outcome in ((path + "9", "canceled"), (path, result)):
        connection.send(new_signal(manager, "JobRemoved", "uoss", (jobs, job, unit, outcome)))


def start(connection, call, body):
    global leftover
    unit, _, properties, _ = body
    wanted = dict(properties)
    if leftover:
        return connection.send(new_error(call, "org.freedesktop.systemd1.UnitExists", "s", (f"Unit {unit} exists.",)))
    if mood == "refuse":
        return connection.send(new_error(call, "org.freedesktop.DBus.Error.InvalidArgs", "s", ("no such property",)))
    if mood == "silent":
        return None
    if mood != "failed":
        directory = hierarchy + slice_path(wanted["Slice"][1]) + "/" + unit
        os.makedirs(directory, exist_ok=True)
        dirs[unit] = directory
        for pid in wanted["PIDs"][1]:
            with open(directory + "/cgroup.procs", "w") as procs:
                procs.write(str(pid))
    return start_job(connection, call, unit, "failed" if mood == "failed" else "done")


def answer(connection, call):
    global leftover
    member, body = call.header.fields[HeaderFields.member], call.body
    log(member=member, body=body)
    if member == "StartTransientUnit":
        return start(connection, call, body)
    if member == "StopUnit":
        if body[0] not in dirs:
            return connection.send(new_error(call, "org.freedesktop.systemd1.NoSuchUnit", "s", ("not loaded",)))
        return start_job(connection, call, body[0], "done")
    if member == "Get":
        value = {"Version": ("s", "252.39-1~deb12u1"), "ControlGroup": ("s", "")}[body[1]]
        return connection.send(new_method_return(call, "v", (value,)))
    if member == "ResetFailedUnit":
        leftover = False
    return connection.send(new_method_return(call))


with open_dbus_connection(address) as connection:
    connection.send_and_get_reply(message_bus.RequestName("org.freedesktop.systemd1"))
    print("ready", flush=True)
    while True:
        message = connection.receive()
        if message.header.message_type == MessageType.method_call:
            answer(connection, message)
