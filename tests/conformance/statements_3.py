"""MQTT 3.1.1 (OASIS standard of 29 October 2014): its numbered statements, in our words.

Each row: identifier, whom it binds, what it asks for, and why it needs no test of the server when
it needs none. Two identifiers are printed wrongly in the standard, as MQTT-3.1.2.7 and
MQTT-3-8.3-4; they stand here as they are meant.
"""

VERSION = "3.1.1"

# How many statements each section has: a row that is forgotten shows.
SECTIONS = {
    "1.5.3": 3, "2.2.2": 2, "2.3.1": 7, "3.1.0": 2, "3.1.2": 24, "3.1.3": 11, "3.1.4": 5,
    "3.2.0": 1, "3.2.2": 6, "3.3.1": 12, "3.3.2": 3, "3.3.4": 1, "3.3.5": 2, "3.6.1": 1,
    "3.8.1": 1, "3.8.3": 4, "3.8.4": 6, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6,
    "3.12.4": 1, "3.14.1": 1, "3.14.4": 3, "4.1.0": 2, "4.3.1": 1, "4.3.2": 2, "4.3.3": 2,
    "4.4.0": 1, "4.5.0": 2, "4.6.0": 6, "4.7.1": 3, "4.7.2": 1, "4.7.3": 4, "4.8.0": 2, "6.0.0": 4,
    "7.0.0": 2, "7.1.1": 1, "7.1.2": 1}
FIRST = {}

NO_RESENDING = ("Where we publish as a client the session is clean: what was not acknowledged is "
                "published anew by the outbox, never sent again by MQTT.")
NO_PUBREL = "What we publish as a client has QoS 0 or 1."
NO_WEBSOCKET = "There is no WebSocket listener and no WebSocket client."

ROWS = (
    ("MQTT-1.5.3-1", "both", "Text is well-formed UTF-8 without surrogates; who receives anything "
     "else closes the connection."),
    ("MQTT-1.5.3-2", "both", "Text has no null character; who receives one closes the connection."),
    ("MQTT-1.5.3-3", "both", "EF BB BF is the character U+FEFF and is never dropped."),
    ("MQTT-2.2.2-1", "both", "Reserved flags of the fixed header have the listed values."),
    ("MQTT-2.2.2-2", "both", "Who receives other flags closes the connection."),
    ("MQTT-2.3.1-1", "both", "SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 have an identifier "
     "other than 0."),
    ("MQTT-2.3.1-2", "client", "A client gives each new one of them an identifier that is free."),
    ("MQTT-2.3.1-3", "client", "What is sent again keeps its identifier, which is free after the "
     "acknowledgement that ends the exchange.", NO_RESENDING),
    ("MQTT-2.3.1-4", "server", "The same for what a server publishes above QoS 0."),
    ("MQTT-2.3.1-5", "both", "A PUBLISH of QoS 0 has no identifier."),
    ("MQTT-2.3.1-6", "both", "PUBACK, PUBREC and PUBREL have the identifier of their PUBLISH."),
    ("MQTT-2.3.1-7", "server", "SUBACK and UNSUBACK have the identifier of what they answer."),
    ("MQTT-3.1.0-1", "both", "The first packet of a client is CONNECT."),
    ("MQTT-3.1.0-2", "both", "A second CONNECT is a violation and ends the connection."),
    ("MQTT-3.1.2-1", "server", "With another protocol name this protocol is not spoken."),
    ("MQTT-3.1.2-2", "server", "An unknown protocol level gets return code 1, then the end."),
    ("MQTT-3.1.2-3", "server", "The reserved CONNECT flag is checked; if it is set the connection "
     "ends."),
    ("MQTT-3.1.2-4", "both", "Without clean session the session of the client goes on, or begins; "
     "it is kept when the connection ends."),
    ("MQTT-3.1.2-5", "server", "A kept session collects the QoS 1 and 2 messages of its "
     "subscriptions while its client is away."),
    ("MQTT-3.1.2-6", "both", "A clean session forgets the earlier one, lasts as long as its "
     "connection and is never used again."),
    ("MQTT-3.1.2-7", "server", "Retained messages do not end with a session."),
    ("MQTT-3.1.2-8", "server", "A will is kept with its connection and published when that ends, "
     "unless DISCONNECT removed it."),
    ("MQTT-3.1.2-9", "both", "With the will flag the payload has the will's topic and message."),
    ("MQTT-3.1.2-10", "server", "A will is gone once it is published or DISCONNECT has come."),
    ("MQTT-3.1.2-11", "both", "Without the will flag the other will flags are 0 and the payload "
     "has no will."),
    ("MQTT-3.1.2-12", "server", "Without the will flag no will is published."),
    ("MQTT-3.1.2-13", "both", "Without the will flag the will QoS is 0."),
    ("MQTT-3.1.2-14", "both", "A will QoS is 0, 1 or 2, never 3."),
    ("MQTT-3.1.2-15", "both", "Without the will flag will retain is 0."),
    ("MQTT-3.1.2-16", "server", "Without will retain the will is published as not retained."),
    ("MQTT-3.1.2-17", "server", "With will retain the will is published as retained."),
    ("MQTT-3.1.2-18", "both", "Without the user name flag there is no user name."),
    ("MQTT-3.1.2-19", "both", "With the user name flag there is one."),
    ("MQTT-3.1.2-20", "both", "Without the password flag there is no password."),
    ("MQTT-3.1.2-21", "both", "With the password flag there is one."),
    ("MQTT-3.1.2-22", "both", "Without the user name flag the password flag is 0."),
    ("MQTT-3.1.2-23", "client", "A client that has nothing else to send sends PINGREQ in time."),
    ("MQTT-3.1.2-24", "server", "After one and a half keep-alive times without a packet the "
     "connection ends as if the network had failed."),
    ("MQTT-3.1.3-1", "both", "The payload's order: identifier, will topic, will message, user "
     "name, password."),
    ("MQTT-3.1.3-2", "both", "The client identifier is what a session is known by."),
    ("MQTT-3.1.3-3", "both", "The client identifier is there and comes first."),
    ("MQTT-3.1.3-4", "both", "The client identifier is well-formed text."),
    ("MQTT-3.1.3-5", "server", "Identifiers of 1 to 23 letters and digits are allowed."),
    ("MQTT-3.1.3-6", "server", "A client that is allowed to have no identifier gets one of its "
     "own."),
    ("MQTT-3.1.3-7", "both", "Without an identifier the session is clean."),
    ("MQTT-3.1.3-8", "server", "No identifier and no clean session gets return code 2, then the "
     "end."),
    ("MQTT-3.1.3-9", "server", "An identifier that is not accepted gets return code 2, then the "
     "end."),
    ("MQTT-3.1.3-10", "both", "The will's topic is well-formed text."),
    ("MQTT-3.1.3-11", "both", "The user name is well-formed text."),
    ("MQTT-3.1.4-1", "server", "A CONNECT against the rules ends the connection without a "
     "CONNACK."),
    ("MQTT-3.1.4-2", "server", "A client identifier that is connected already: the older "
     "connection ends."),
    ("MQTT-3.1.4-3", "server", "Clean session is carried out."),
    ("MQTT-3.1.4-4", "server", "An accepted CONNECT gets return code 0."),
    ("MQTT-3.1.4-5", "server", "After a refusal nothing of the client is processed."),
    ("MQTT-3.2.0-1", "server", "CONNACK is the server's first packet."),
    ("MQTT-3.2.2-1", "server", "A clean session has session present 0."),
    ("MQTT-3.2.2-2", "server", "Otherwise it is 1 where there is a session."),
    ("MQTT-3.2.2-3", "server", "It is 0 where there is none."),
    ("MQTT-3.2.2-4", "server", "It is 0 in a refusal."),
    ("MQTT-3.2.2-5", "server", "A refusal ends the connection."),
    ("MQTT-3.2.2-6", "server", "Where no return code fits the connection ends without CONNACK."),
    ("MQTT-3.3.1-1", "both", "DUP is set on a PUBLISH that is sent again."),
    ("MQTT-3.3.1-2", "both", "DUP is 0 with QoS 0."),
    ("MQTT-3.3.1-3", "server", "DUP of what goes out has nothing to do with DUP of what came in."),
    ("MQTT-3.3.1-4", "both", "QoS 3 does not exist; who receives it closes the connection."),
    ("MQTT-3.3.1-5", "server", "A retained PUBLISH is stored with its QoS for later subscribers."),
    ("MQTT-3.3.1-6", "server", "A new subscription gets the last retained message of each "
     "matching topic."),
    ("MQTT-3.3.1-7", "server", "A retained message of QoS 0 discards the earlier one; whether it "
     "is kept itself is free."),
    ("MQTT-3.3.1-8", "server", "What comes because of a new subscription has RETAIN 1."),
    ("MQTT-3.3.1-9", "server", "What comes because of an established one has RETAIN 0."),
    ("MQTT-3.3.1-10", "server", "An empty retained PUBLISH is delivered and removes the topic's "
     "retained message."),
    ("MQTT-3.3.1-11", "server", "An empty message is never stored as retained."),
    ("MQTT-3.3.1-12", "server", "A PUBLISH that is not retained neither stores nor removes."),
    ("MQTT-3.3.2-1", "both", "The topic name comes first in PUBLISH and is well-formed text."),
    ("MQTT-3.3.2-2", "both", "A topic name has no wildcards."),
    ("MQTT-3.3.2-3", "server", "The topic name that a subscriber gets matches its filter."),
    ("MQTT-3.3.4-1", "both", "A PUBLISH is answered as its QoS demands."),
    ("MQTT-3.3.5-1", "server", "With overlapping subscriptions the highest QoS among them "
     "counts."),
    ("MQTT-3.3.5-2", "server", "A PUBLISH that is not allowed is acknowledged all the same, or the "
     "connection ends."),
    ("MQTT-3.6.1-1", "both", "The flags of PUBREL are 0010; others are malformed and end the "
     "connection."),
    ("MQTT-3.8.1-1", "both", "The flags of SUBSCRIBE are 0010; others are malformed and end the "
     "connection."),
    ("MQTT-3.8.3-1", "both", "Topic filters in SUBSCRIBE are well-formed text."),
    ("MQTT-3.8.3-2", "server", "A server without wildcards refuses filters that have some."),
    ("MQTT-3.8.3-3", "both", "SUBSCRIBE has at least one filter with its QoS."),
    ("MQTT-3.8.3-4", "server", "Reserved bits, or a QoS of 3, in SUBSCRIBE end the connection."),
    ("MQTT-3.8.4-1", "server", "SUBSCRIBE is answered with SUBACK."),
    ("MQTT-3.8.4-2", "server", "with the same identifier."),
    ("MQTT-3.8.4-3", "server", "The same filter again replaces the subscription; retained messages "
     "come again, and the stream is not interrupted."),
    ("MQTT-3.8.4-4", "server", "Several filters are handled one by one and answered together."),
    ("MQTT-3.8.4-5", "server", "SUBACK has a code for each filter: the granted QoS or a failure."),
    ("MQTT-3.8.4-6", "server", "Messages come with the lower of their own and the granted QoS."),
    ("MQTT-3.9.3-1", "server", "The codes of SUBACK are in the order of the filters."),
    ("MQTT-3.9.3-2", "server", "and are 0, 1, 2 or 0x80."),
    ("MQTT-3.10.1-1", "both", "The flags of UNSUBSCRIBE are 0010; others are malformed and end the "
     "connection."),
    ("MQTT-3.10.3-1", "both", "Topic filters in UNSUBSCRIBE are well-formed text."),
    ("MQTT-3.10.3-2", "both", "UNSUBSCRIBE has at least one filter."),
    ("MQTT-3.10.4-1", "server", "Filters are compared character by character; an exact match ends "
     "the subscription, anything else changes nothing."),
    ("MQTT-3.10.4-2", "server", "An ended subscription brings no new messages."),
    ("MQTT-3.10.4-3", "server", "Deliveries of QoS 1 and 2 that had begun are completed."),
    ("MQTT-3.10.4-4", "server", "UNSUBSCRIBE is answered with UNSUBACK and the same identifier."),
    ("MQTT-3.10.4-5", "server", "also where there was no subscription."),
    ("MQTT-3.10.4-6", "server", "Several filters are handled one by one and answered together."),
    ("MQTT-3.12.4-1", "server", "PINGREQ is answered with PINGRESP."),
    ("MQTT-3.14.1-1", "server", "Reserved flags of DISCONNECT are checked; if any is set the "
     "connection ends."),
    ("MQTT-3.14.4-1", "client", "After DISCONNECT the client closes the connection."),
    ("MQTT-3.14.4-2", "client", "and sends nothing more."),
    ("MQTT-3.14.4-3", "server", "DISCONNECT discards the will."),
    ("MQTT-4.1.0-1", "both", "Both sides keep their state for as long as the session lasts."),
    ("MQTT-4.1.0-2", "server", "A session lasts at least as long as its connection."),
    ("MQTT-4.3.1-1", "both", "QoS 0 goes out with QoS 0 and DUP 0."),
    ("MQTT-4.3.2-1", "both", "Who sends QoS 1 takes a free identifier, DUP 0, and holds the "
     "message unacknowledged until PUBACK."),
    ("MQTT-4.3.2-2", "both", "Who receives QoS 1 answers with PUBACK; then the identifier means a "
     "new message, whatever DUP says."),
    ("MQTT-4.3.3-1", "both", "Who sends QoS 2 takes a free identifier, DUP 0, answers PUBREC with "
     "PUBREL, holds each until it is answered, and never sends PUBLISH after PUBREL."),
    ("MQTT-4.3.3-2", "both", "Who receives QoS 2 answers PUBLISH with PUBREC, hands it on once "
     "however often it comes before PUBREL, and answers that with PUBCOMP."),
    ("MQTT-4.4.0-1", "both", "When a session goes on, unacknowledged PUBLISH and PUBREL are sent "
     "again with their identifiers."),
    ("MQTT-4.5.0-1", "server", "A message taken over joins the session of every client with a "
     "matching subscription."),
    ("MQTT-4.5.0-2", "client", "A client acknowledges what it receives, whatever it does with it."),
    ("MQTT-4.6.0-1", "client", "PUBLISH packets are sent again in their order.", NO_RESENDING),
    ("MQTT-4.6.0-2", "client", "PUBACK come in the order of their PUBLISH."),
    ("MQTT-4.6.0-3", "client", "PUBREC come in the order of their PUBLISH."),
    ("MQTT-4.6.0-4", "client", "PUBREL come in the order of their PUBREC.", NO_PUBREL),
    ("MQTT-4.6.0-5", "server", "Every topic is ordered unless it was configured otherwise."),
    ("MQTT-4.6.0-6", "server", "Messages of one client, ordered topic and QoS reach each "
     "subscriber in their order."),
    ("MQTT-4.7.1-1", "both", "Wildcards stand in filters, never in topic names."),
    ("MQTT-4.7.1-2", "both", "'#' is the last character, alone or behind '/'."),
    ("MQTT-4.7.1-3", "both", "'+' fills a whole level, at any place."),
    ("MQTT-4.7.2-1", "server", "A filter that begins with a wildcard selects no topic that begins "
     "with '$'."),
    ("MQTT-4.7.3-1", "both", "Names and filters have at least one character."),
    ("MQTT-4.7.3-2", "both", "and no null character."),
    ("MQTT-4.7.3-3", "both", "and at most 65,535 bytes."),
    ("MQTT-4.7.3-4", "server", "Matching normalizes and replaces nothing."),
    ("MQTT-4.8.0-1", "both", "A violation ends the connection on which it happened."),
    ("MQTT-4.8.0-2", "both", "So does a transient error on our own side.",
     "A peer cannot provoke one; the unit tests of the listener with a failing journal and full "
     "pools do (src/stages/ingress/mqtt/server_test.cpp)."),
    ("MQTT-6.0.0-1", "both", "Over WebSocket only binary frames are used.", NO_WEBSOCKET),
    ("MQTT-6.0.0-2", "both", "Packets and WebSocket frames may be cut differently.", NO_WEBSOCKET),
    ("MQTT-6.0.0-3", "client", "A WebSocket client offers the subprotocol mqtt.", NO_WEBSOCKET),
    ("MQTT-6.0.0-4", "server", "A WebSocket server selects the subprotocol mqtt.", NO_WEBSOCKET),
    ("MQTT-7.0.0-1", "both", "Who accepts connections and opens some to other servers conforms as "
     "server and as client."),
    ("MQTT-7.0.0-2", "both", "No extension is needed to work together."),
    ("MQTT-7.1.1-1", "server", "A server offers a transport that is ordered, lossless and works "
     "both ways."),
    ("MQTT-7.1.2-1", "client", "A client offers one too."),
)
