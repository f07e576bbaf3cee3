"""gRPC by the reference implementation: `serve` is a server, `call ADDRESS [CA]` checks every kind of call
through whatever stands between. Messages are plain bytes, so that no code has to be generated."""

import queue
import sys
from concurrent import futures

import grpc

LARGE = 8 << 20
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def unary(request, context):
    context.send_initial_metadata((("x-initial", "first"),))
    context.set_trailing_metadata((("x-trailing", "last"), ("x-bytes-bin", bytes(range(256)))))
    return request


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def gather(requests, context):
    return b",".join(requests)


def echo(requests, context):
    yield from requests


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100% \u00e4")


def fail_late(request, context):
    yield b"one"
    context.abort(grpc.StatusCode.DATA_LOSS, "half way")


def sleep(request, context):
    # Ends with the call: the deadline or the cancellation has to get here.
    ended = futures.Future()
    if context.add_callback(lambda: ended.set_result(None)):
        ended.result(timeout=20)
    return b""


def serve():
    plain = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
    }
    server = grpc.server(futures.ThreadPoolExecutor(16), options=UNLIMITED)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", plain),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call did not fail")


def call(address, ca=None):
    if ca is None:
        channel = grpc.insecure_channel(address, options=UNLIMITED)
    else:
        with open(ca, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        named = UNLIMITED + [("grpc.ssl_target_name_override", "a.test")]
        channel = grpc.secure_channel(address, credentials, options=named)
    code = grpc.StatusCode

    one = channel.unary_unary("/t.T/Unary")
    reply, details = one.with_call(b"hello", timeout=10)
    assert reply == b"hello"
    assert ("x-initial", "first") in details.initial_metadata()
    assert ("x-trailing", "last") in details.trailing_metadata()
    assert ("x-bytes-bin", bytes(range(256))) in details.trailing_metadata()
    assert one(b"", timeout=10) == b""
    large = bytes(range(256)) * (LARGE // 256)
    assert one(large, timeout=30) == large

    counted = list(channel.unary_stream("/t.T/Count")(b"1000", timeout=10))
    assert counted == [str(number).encode() for number in range(1000)]
    assert list(channel.unary_stream("/t.T/Count")(b"0", timeout=10)) == []

    gather = channel.stream_unary("/t.T/Gather")
    assert gather(iter([b"a", b"b", b"c"]), timeout=10) == b"a,b,c"
    assert gather(iter([]), timeout=10) == b""

    # Each message is sent after the answer to the one before: nothing may wait for more.
    answers = queue.Queue()

    def turns():
        yield b"0"
        for number in range(1, 50):
            assert answers.get(timeout=10) == str(number - 1).encode()
            yield str(number).encode()

    received = []
    for message in channel.stream_stream("/t.T/Echo")(turns(), timeout=20):
        received.append(message)
        answers.put(message)
    assert received == [str(number).encode() for number in range(50)]

    assert failure(lambda: channel.unary_unary("/t.T/Fail")(b"")) == (
        code.FAILED_PRECONDITION,
        "not today: 100% \u00e4",
    )
    late = channel.unary_stream("/t.T/FailLate")(b"")
    assert next(late) == b"one"
    assert failure(lambda: next(late)) == (code.DATA_LOSS, "half way")
    assert failure(lambda: channel.unary_unary("/t.T/None")(b""))[0] == code.UNIMPLEMENTED

    sleeper = channel.unary_unary("/t.T/Sleep")
    assert failure(lambda: sleeper(b"", timeout=0.2))[0] == code.DEADLINE_EXCEEDED
    cancelled = sleeper.future(b"", timeout=20)
    cancelled.cancel()
    assert cancelled.cancelled()

    # Many at once on one connection.
    replies = [one.future(str(number).encode(), timeout=20) for number in range(200)]
    assert [reply.result() for reply in replies] == [str(number).encode() for number in range(200)]
    channel.close()


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
