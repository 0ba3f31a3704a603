"""The layers of the networks: normalisation, the convolution block and the attention gate."""

from typing import Any

import keras
from keras import layers


class BatchNormalization(layers.BatchNormalization):
    """Batch normalisation of the channels of [batch, height, width, channels], by TensorFlow's fused kernel.

    It has the weights, outputs and moving statistics of Keras' layer, but is faster: Keras composes the normalisation
    of ten operations, each of which reads and writes the whole tensor. Other backends fuse operations by themselves,
    and run Keras' layer as it is. Ioffe and Szegedy, Batch Normalization, ICML 2015 (arXiv:1502.03167).

    The moving statistics follow the last ten batches. Keras' default follows the last hundred, which in a training of
    few steps reach back to its beginning.
    """

    def __init__(self, momentum: float = 0.9, **settings: Any) -> None:
        super().__init__(momentum=momentum, **settings)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise `inputs`; a trainable layer in training moves its statistics towards those of the batch."""
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # noqa: PLC0415  the other backends run without it

        learns = bool(training and self.trainable)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            # In training the kernel takes the statistics of the batch, and refuses others.
            mean=[] if learns else self.moving_mean,
            variance=[] if learns else self.moving_variance,
            epsilon=self.epsilon,
            is_training=learns,
        )
        if learns:
            # The kernel returns the unbiased variance, Keras keeps the biased one.
            values = tf.cast(tf.size(inputs) // inputs.shape[-1], "float32")
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance * tf.maximum(values - 1, 1) / values)
        return outputs

    def _move(self, average: keras.Variable, value: Any) -> None:
        average.assign(average * self.momentum + value * (1 - self.momentum))


def convolution(x: keras.KerasTensor, filters: int, kernel: int, strides: int = 1) -> keras.KerasTensor:
    """Convolve [batch, h, w, c] to [batch, h / strides, w / strides, filters], normalise and rectify."""
    x = layers.Conv2D(filters, kernel, strides, "same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(BatchNormalization()(x))


def attention_gate(skip: keras.KerasTensor, gate: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Weight `skip` [batch, 2h, 2w, c] by an additive attention that `gate` [batch, h, w, d] steers.

    The attention is computed on the grid of the gate and repeated to that of the skip, as in the paper (Oktay et al.,
    Attention U-Net, MIDL 2018, arXiv:1804.03999, eq. 1).
    """
    x = layers.Conv2D(filters, 2, strides=2, use_bias=False, kernel_initializer="he_normal")(skip)
    g = layers.Conv2D(filters, 1, kernel_initializer="he_normal")(gate)
    attention = layers.ReLU()(BatchNormalization()(layers.Add()([x, g])))
    attention = layers.Conv2D(1, 1, activation="sigmoid")(attention)
    return layers.Multiply()([skip, layers.UpSampling2D()(attention)])
