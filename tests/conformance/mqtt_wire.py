"""MQTT 3.1.1 and 5.0 packets as bytes: builders whose every field can be set, also wrongly, and a
strict parser of what a server sends. No sockets here."""

import struct

V3, V5 = 3, 5
LEVEL = {V3: 4, V5: 5}

(CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE,
 UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH) = range(1, 16)
NAMES = dict(enumerate("CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK "
                       "UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT AUTH".split(), 1))
FIXED_FLAGS = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}

# Properties of 5.0, table 2-4.
PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE = 0x01, 0x02, 0x03
RESPONSE_TOPIC, CORRELATION_DATA, SUBSCRIPTION_ID = 0x08, 0x09, 0x0B
SESSION_EXPIRY, ASSIGNED_CLIENT_ID, SERVER_KEEP_ALIVE = 0x11, 0x12, 0x13
AUTH_METHOD, AUTH_DATA, REQUEST_PROBLEM, WILL_DELAY = 0x15, 0x16, 0x17, 0x18
REQUEST_RESPONSE, RESPONSE_INFORMATION, SERVER_REFERENCE = 0x19, 0x1A, 0x1C
REASON_STRING, RECEIVE_MAXIMUM, ALIAS_MAXIMUM, TOPIC_ALIAS = 0x1F, 0x21, 0x22, 0x23
MAXIMUM_QOS, RETAIN_AVAILABLE, USER_PROPERTY, PACKET_SIZE_MAXIMUM = 0x24, 0x25, 0x26, 0x27
WILDCARD_AVAILABLE, SUBSCRIPTION_ID_AVAILABLE, SHARED_AVAILABLE = 0x28, 0x29, 0x2A

KINDS = {}
for _kind, _ids in {
        "byte": (PAYLOAD_FORMAT, REQUEST_PROBLEM, REQUEST_RESPONSE, MAXIMUM_QOS, RETAIN_AVAILABLE,
                 WILDCARD_AVAILABLE, SUBSCRIPTION_ID_AVAILABLE, SHARED_AVAILABLE),
        "two": (SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM, ALIAS_MAXIMUM, TOPIC_ALIAS),
        "four": (MESSAGE_EXPIRY, SESSION_EXPIRY, WILL_DELAY, PACKET_SIZE_MAXIMUM),
        "variable": (SUBSCRIPTION_ID,),
        "binary": (CORRELATION_DATA, AUTH_DATA),
        "pair": (USER_PROPERTY,),
        "text": (CONTENT_TYPE, RESPONSE_TOPIC, ASSIGNED_CLIENT_ID, AUTH_METHOD,
                 RESPONSE_INFORMATION, SERVER_REFERENCE, REASON_STRING)}.items():
    KINDS.update(dict.fromkeys(_ids, _kind))

# What a server may put where, and the reason codes of each packet.
_ACK = {REASON_STRING, USER_PROPERTY}
ALLOWED = {
    CONNACK: _ACK | {SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE,
                     PACKET_SIZE_MAXIMUM, ASSIGNED_CLIENT_ID, ALIAS_MAXIMUM, WILDCARD_AVAILABLE,
                     SUBSCRIPTION_ID_AVAILABLE, SHARED_AVAILABLE, SERVER_KEEP_ALIVE,
                     RESPONSE_INFORMATION, SERVER_REFERENCE, AUTH_METHOD, AUTH_DATA},
    PUBLISH: {PAYLOAD_FORMAT, MESSAGE_EXPIRY, TOPIC_ALIAS, RESPONSE_TOPIC, CORRELATION_DATA,
              USER_PROPERTY, SUBSCRIPTION_ID, CONTENT_TYPE},
    PUBACK: _ACK, PUBREC: _ACK, PUBREL: _ACK, PUBCOMP: _ACK, SUBACK: _ACK, UNSUBACK: _ACK,
    DISCONNECT: _ACK | {SERVER_REFERENCE}, AUTH: _ACK | {AUTH_METHOD, AUTH_DATA},
}
_PUB = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
REASONS = {
    CONNACK: {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
              0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: _PUB, PUBREC: _PUB, PUBREL: {0x00, 0x92}, PUBCOMP: {0x00, 0x92},
    SUBACK: {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
                 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0,
                 0xA1, 0xA2},
    AUTH: {0x00, 0x18},
}


class WireError(AssertionError):
    """The server sent bytes that the specification forbids."""


# ---------------------------------------------------------------- builders


def variable_integer(value, size=0):
    """`size` above the minimum makes a wrong, overlong encoding."""
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        more = value or len(out) + 1 < size
        out += bytes([low | (0x80 if more else 0)])
        if not more:
            return out


def packet(kind, body=b"", flags=None, length=None):
    """`length` overrides the remaining length: a number, or its very bytes."""
    flags = FIXED_FLAGS.get(kind, 0) if flags is None else flags
    size = length if isinstance(length, bytes) else variable_integer(
        len(body) if length is None else length)
    return bytes([kind << 4 | flags]) + size + body


def binary(value):
    return struct.pack(">H", len(value)) + value


def text(value):
    return binary(value if isinstance(value, bytes) else value.encode())


def property_bytes(identifier, value):
    kind = KINDS.get(identifier, "byte")
    out = variable_integer(identifier)
    if kind == "byte":
        return out + bytes([value])
    if kind == "two":
        return out + struct.pack(">H", value)
    if kind == "four":
        return out + struct.pack(">I", value)
    if kind == "variable":
        return out + variable_integer(value)
    if kind == "pair":
        return out + text(value[0]) + text(value[1])
    return out + text(value)


def properties(pairs, version=V5):
    """A property list with its length; nothing over 3.1.1. Raw bytes are taken as they are."""
    if version == V3:
        return b""
    if isinstance(pairs, bytes):
        return pairs
    body = b"".join(property_bytes(identifier, value) for identifier, value in pairs)
    return variable_integer(len(body)) + body


class Will:
    def __init__(self, topic, payload=b"", qos=0, retain=False, props=()):
        self.topic, self.payload, self.qos, self.retain = topic, payload, qos, retain
        self.props = props


def connect(client_id="", version=V5, clean=True, keep_alive=60, props=(), will=None, username=None,
            password=None, flags=None, name="MQTT", level=None, tail=b""):
    """`flags` overrides the flags byte, which otherwise follows from the arguments."""
    found = 2 if clean else 0
    payload = text(client_id)
    if will is not None:
        found |= 4 | will.qos << 3 | (32 if will.retain else 0)
        payload += properties(will.props, version) + text(will.topic) + text(will.payload)
    if username is not None:
        found |= 128
        payload += text(username)
    if password is not None:
        found |= 64
        payload += text(password)
    head = text(name) + bytes([LEVEL[version] if level is None else level,
                               found if flags is None else flags])
    return packet(CONNECT, head + struct.pack(">H", keep_alive) + properties(props, version) +
                  payload + tail)


def publish(topic, payload=b"", qos=0, packet_id=None, dup=False, retain=False, props=(),
            version=V5):
    payload = payload if isinstance(payload, bytes) else payload.encode()
    identifier = b"" if packet_id is None else struct.pack(">H", packet_id)
    return packet(PUBLISH, text(topic) + identifier + properties(props, version) + payload,
                  (8 if dup else 0) | qos << 1 | (1 if retain else 0))


def ack(kind, packet_id, reason=None, props=None, version=V5, flags=None):
    body = struct.pack(">H", packet_id)
    if version == V5 and (reason is not None or props is not None):
        body += bytes([reason or 0]) + (b"" if props is None else properties(props))
    return packet(kind, body, flags)


def subscribe(packet_id, *filters, props=(), version=V5, flags=None):
    """`filters` are pairs of a topic filter and its options byte."""
    return packet(SUBSCRIBE, struct.pack(">H", packet_id) + properties(props, version) +
                  b"".join(text(topic) + bytes([options]) for topic, options in filters), flags)


def unsubscribe(packet_id, *filters, props=(), version=V5, flags=None):
    return packet(UNSUBSCRIBE, struct.pack(">H", packet_id) + properties(props, version) +
                  b"".join(text(topic) for topic in filters), flags)


def disconnect(reason=None, props=None, flags=None):
    body = b"" if reason is None else bytes([reason])
    return packet(DISCONNECT, body + (b"" if props is None else properties(props)), flags)


def auth(reason=None, props=(), flags=None):
    return packet(AUTH, b"" if reason is None else bytes([reason]) + properties(props), flags)


PING = packet(PINGREQ)


# ---------------------------------------------------------------- parser


class Reader:
    def __init__(self, data):
        self._data, self._at = data, 0

    def left(self):
        return len(self._data) - self._at

    def take(self, size):
        if size > self.left():
            raise WireError(f"{size} bytes expected, {self.left()} left")
        self._at += size
        return self._data[self._at - size:self._at]

    def byte(self):
        return self.take(1)[0]

    def two(self):
        return struct.unpack(">H", self.take(2))[0]

    def four(self):
        return struct.unpack(">I", self.take(4))[0]

    def variable(self):
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if shift and not byte:
                    raise WireError("a variable byte integer that is too long")
                return value
        raise WireError("a variable byte integer of five bytes")

    def binary(self):
        return self.take(self.two())

    def text(self):
        try:
            value = self.binary().decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(f"not UTF-8: {error}") from None
        if "\0" in value:
            raise WireError("a null character")
        return value

    def properties(self):
        inner = Reader(self.take(self.variable()))
        found = []
        while inner.left():
            identifier = inner.variable()
            if identifier not in KINDS:
                raise WireError(f"unknown property {identifier:#x}")
            found.append((identifier, {
                "byte": inner.byte, "two": inner.two, "four": inner.four,
                "variable": inner.variable, "binary": inner.binary, "text": inner.text,
                "pair": lambda: (inner.text(), inner.text())}[KINDS[identifier]]()))
        return found


class Packet:
    """One packet of a server, parsed and checked. Fields that its type lacks are None."""

    def __init__(self, first, body, version, size):
        self.kind, self.flags, self.version, self.size = first >> 4, first & 15, version, size
        self.packet_id = self.reason = self.topic = self.payload = self.session_present = None
        self.reasons, self.props = [], []
        self.dup, self.qos, self.retain = bool(first & 8), first >> 1 & 3, bool(first & 1)
        reader = Reader(body)
        if self.kind != PUBLISH and self.flags != FIXED_FLAGS.get(self.kind, 0):
            raise WireError(f"flags {self.flags:#x} of {self.name}")
        parse = {CONNACK: self._connack, PUBLISH: self._publish, SUBACK: self._suback,
                 UNSUBACK: self._suback, PINGRESP: lambda reader: None,
                 DISCONNECT: self._reason, AUTH: self._reason}.get(self.kind)
        if parse is None and self.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            parse = self._ack
        if parse is None:
            raise WireError(f"a server sent {self.name}")
        parse(reader)
        if reader.left():
            raise WireError(f"{reader.left()} bytes behind {self}")
        self._check()

    @property
    def name(self):
        return NAMES.get(self.kind, f"type {self.kind}")

    def __repr__(self):
        shown = {key: value for key, value in vars(self).items()
                 if value not in (None, [], False) and key not in ("kind", "version", "size")}
        return f"{self.name}{shown}"

    def get(self, identifier, default=None):
        """The first value of a property."""
        return next((value for found, value in self.props if found == identifier), default)

    def all(self, identifier):
        return [value for found, value in self.props if found == identifier]

    def _connack(self, reader):
        acknowledge = reader.byte()
        if acknowledge & 0xFE:
            raise WireError(f"CONNACK flags {acknowledge:#x}")
        self.session_present = bool(acknowledge)
        self.reason = reader.byte()
        if self.version == V5:
            self.props = reader.properties()

    def _publish(self, reader):
        self.topic = reader.text()
        if self.qos:
            self.packet_id = reader.two()
        if self.version == V5:
            self.props = reader.properties()
        self.payload = reader.take(reader.left())

    def _ack(self, reader):
        self.packet_id, self.reason = reader.two(), 0
        if self.version == V5 and reader.left():
            self.reason = reader.byte()
            if reader.left():
                self.props = reader.properties()

    def _suback(self, reader):
        self.packet_id = reader.two()
        if self.version == V5:
            self.props = reader.properties()
        if self.version == V5 or self.kind == SUBACK:
            self.reasons = list(reader.take(reader.left()))

    def _reason(self, reader):
        if self.version == V3:
            raise WireError(f"a 3.1.1 server sent {self.name}")
        self.reason = 0
        if reader.left():
            self.reason = reader.byte()
            if reader.left():
                self.props = reader.properties()

    def _check(self):
        if self.packet_id == 0:
            raise WireError(f"packet identifier 0: {self}")
        if self.kind == PUBLISH:
            if self.qos == 3 or (self.dup and not self.qos):
                raise WireError(f"flags {self.flags:#x} of PUBLISH")
            if set(self.topic) & set("#+"):
                raise WireError(f"a wildcard in the topic {self.topic!r}")
        seen = set()
        for identifier, _ in self.props:
            if identifier not in ALLOWED[self.kind]:
                raise WireError(f"property {identifier:#x} in {self}")
            if identifier in seen and identifier not in (USER_PROPERTY, SUBSCRIPTION_ID):
                raise WireError(f"property {identifier:#x} twice in {self}")
            seen.add(identifier)
        self._check_reasons()

    def _check_reasons(self):
        if self.version == V3:
            allowed = {CONNACK: set(range(6)), SUBACK: {0, 1, 2, 0x80}}.get(self.kind)
        else:
            allowed = REASONS.get(self.kind)
        for reason in self.reasons + ([] if self.reason is None else [self.reason]):
            if allowed is not None and reason not in allowed:
                raise WireError(f"reason code {reason:#x} in {self}")


def read_frame(stream):
    """(first byte, body), or None at the end of the connection."""
    try:
        first = stream.read(1)
        if not first:
            return None
        length = shift = 0
        while True:
            byte = stream.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = stream.read(length)
        return (first[0], body) if len(body) == length else None
    except (ConnectionResetError, BrokenPipeError, IndexError):
        return None


def read_packet(stream):
    """(type, body), or None at the end of the connection."""
    frame = read_frame(stream)
    return frame and (frame[0] >> 4, frame[1])
