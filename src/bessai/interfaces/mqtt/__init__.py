"""MQTT 5: every record to a broker, retained state, Home Assistant, commands, Sparkplug B. See `docs/mqtt.md`.

    settings = MqttSettings.from_environment(os.environ)     # None when MQTT_URL is not set
    courier = MqttCourier(settings, site="plant-1", ask=socket_ask(path))
    courier.send(batch, timeout=10.0)                        # returns when the broker has acknowledged all of it

`SparkplugCourier`, in `mqtt.sparkplug`, is a second courier with a connection of its own: a connection has one
last will, and Sparkplug B claims it.

paho-mqtt is used directly, not aiomqtt on top of it: that one drops the reason code of an acknowledgement, so a
message that the broker has refused would count as delivered.
"""

from bessai.interfaces.mqtt.courier import MqttCourier
from bessai.interfaces.mqtt.settings import MqttSettings

__all__ = ["MqttCourier", "MqttSettings"]
