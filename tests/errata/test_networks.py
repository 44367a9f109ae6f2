"""Rows of the errata on LeNet-5, AlexNet, VGG, GoogLeNet and ResNet."""

import math

import torch
import torch.nn.functional as F
from facts import all_of, build
from rows import code, fails, kernels, kinds, proves, run, scope, shapes, torchvisions
from torch import nn

from cnncourse import trace
from cnncourse.layers import LocalResponseNorm
from cnncourse.models import MODELS, resnet
from cnncourse.recipes import RECIPES


@proves("LeNet-5 has ReLUs")
def test_lenet_of_1998_squashes_sub_samples_and_compares_with_pictures(row):
    net = row.right()
    found = set(kinds(net.modules()))
    assert not found & {"ReLU", "MaxPool2d", "Dropout"} and found >= {"Squash", "SubSampling"}
    assert trace.parameters(net.output) == 0 and trace.parameters(net.S2) == 12


@proves("Local response normalisation stands", "AlexNet pools first")
def test_alexnet_normalises_behind_the_relu_and_before_the_pooling(row):
    names = [stage.name for stage in row.right()]
    assert names[:6] == ["conv1", "norm1", "pool1", "conv2", "norm2", "pool2"]
    assert kinds(build("alexnet").conv1) == ["Conv2d", "ReLU"]
    maps, norm, pool = 50 * torch.rand(1, 8, 9, 9), LocalResponseNorm(), nn.MaxPool2d(3, 2)
    assert not torch.allclose(pool(norm(maps)), norm(pool(maps)))
    before, after = (sum(math.prod(shapes("alexnet")[name]) for name in pair)
                     for pair in (("conv1", "conv2"), ("pool1", "pool2")))
    return [round(before / after, 1)]


@proves("The third convolution", "The fifth convolution")
def test_alexnets_convolutions_widen_twice_and_its_pooling_makes_6_x_6(row):
    convolutions = all_of(build("alexnet"), nn.Conv2d)
    assert [conv.out_channels for conv in convolutions] == [96, 256, 384, 384, 256]
    assert [conv.in_channels for conv in convolutions[2:4]] == [256, 384]
    found = {stage.name: stage.output for stage in row.right()}
    assert (found["conv5"], found["pool5"]) == ("256 x 13 x 13", "256 x 6 x 6")


@proves("A table with two towers")
def test_one_tower_has_more_weights_in_three_convolutions(row):
    two, one = (trace.costs(build(name)) for name in ("alexnet", "alexnet_single"))
    net = build("alexnet")
    assert row.right().groups == 2 and trace.parameters(row.right()) == trace.parameters(net.conv2)
    assert [conv.groups for conv in all_of(net, nn.Conv2d)] == [1, 2, 1, 2, 2]
    return [one.parameters - two.parameters, one.macs - two.macs]


# VGG


@proves("1x1 convolutions are at the heart")
def test_only_vggs_configuration_c_has_1x1_convolutions_and_sees_no_more_than_b(row):
    vggs = [name for name in MODELS if name.startswith("vgg")]
    assert [name for name in vggs if 1 in kernels(build(name))] == ["vgg16_c"]
    assert kernels(build("vgg16_c")).count(1) == 3 and kernels(build("vgg16")) == [3] * 13
    b, c, d = (trace.stages(build(name))[-3].field for name in ("vgg13", "vgg16_c", "vgg16"))
    assert b == c < d


@proves("Each block halves")
def test_three_of_vggs_blocks_double_the_channels(row):
    found = [shapes("vgg16")[f"block{i}"] for i in range(1, 6)]
    assert found == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


@proves("VGG's convolutions and poolings")
def test_vggs_convolutions_are_padded_and_its_poolings_are_not(row):
    net = build("vgg16")
    assert {conv.padding for conv in all_of(net, nn.Conv2d)} == {(1, 1)} and row.right().padding == 0
    assert list(map(str, all_of(net, nn.MaxPool2d))) == [str(row.right())] * 5


# GoogLeNet


@proves("The stem is 7x7")
def test_googlenets_stem_has_a_1x1_convolution_and_three_relus(row):
    net = build("googlenet")
    stem = nn.Sequential(net.conv1, net.conv2)
    assert kernels(stem) == [7, 1, 3] and len(all_of(stem, nn.ReLU)) == 3
    reduce = all_of(stem, nn.Conv2d)[1]
    assert (reduce.in_channels, reduce.out_channels) == (64, 64)
    return [trace.parameters(reduce)]


@proves("The auxiliary heads")
def test_googlenets_two_heads_count_in_training_and_are_no_stage(row):
    with torch.device("meta"):
        net = row.right()
        assert len(net(torch.zeros(2, 3, 224, 224), heads=True)) == 3
    assert [name for name, _ in net.named_children() if name.startswith("aux")] == ["aux1", "aux2"]
    assert not [name for name in shapes("googlenet") if name.startswith("aux")]
    return [RECIPES["googlenet"].head_weight]


@proves("A network with a `width`")
def test_a_narrower_network_needs_every_layer_to_follow(row):
    assert trace.parameters(row.right()) < trace.parameters(build("googlenet_small")) / 8
    net = nn.Sequential(nn.Conv2d(3, 32, 1), nn.Conv2d(64, 8, 1))
    fails(RuntimeError, "to have 64 channels, but got 32", net, torch.zeros(1, 3, 8, 8))


# ResNet


@proves("W_s is a square")
def test_a_projection_has_a_row_for_each_new_channel_and_is_there_only_where_shapes_change(row):
    assert row.right(n_in=16).weight.shape == resnet.projection(16, 32, 2)[0].weight.shape == (32, 16, 1, 1)
    assert isinstance(resnet.projection(16, 16, 1), nn.Identity)


@proves("A solid line")
def test_a_padded_1x1_convolution_cannot_be_added(row):
    x = torch.zeros(1, 64, 56, 56)
    padded = nn.Conv2d(64, 64, 1, padding=1)(x)
    assert padded.shape[3] == 58 and torch.equal(row.right()(x), x)
    fails(RuntimeError, "(58) must match the size of tensor b (56)", torch.add, padded, x)


@proves("A ResNet has no pooling")
def test_resnet_begins_with_7x7_and_a_pooling_and_ends_with_an_average(row):
    net = build("resnet34")
    assert kernels(net)[0] == 7 and [stage.name for stage in row.right()[:2]] == ["conv1", "pool1"]
    assert isinstance(net.pool1, nn.MaxPool2d) and all_of(net.head, nn.AdaptiveAvgPool2d)


@proves("ResNet-34 is VGG-19")
def test_resnet_shrinks_the_image_first_and_has_one_linear_layer(row):
    assert shapes("resnet34")["pool1"] == (64, 56, 56) and len(all_of(build("resnet34"), nn.Linear)) == 1
    return [round(macs / 1e9, 2) for macs in (row.right().macs, trace.costs(build("vgg19")).macs)]


@proves("The first 1x1 of a bottleneck")
def test_a_stride_in_the_3x3_costs_more_with_equal_weights(row):
    nets = build("resnet50"), build("resnet50_v1")
    strides = [[conv.stride[0] for conv in all_of(net.conv3_x[0].residual, nn.Conv2d)] for net in nets]
    assert strides == [[1, 2, 1], [2, 1, 1]] and torchvisions("resnet50").layer2[0].conv2.stride == (2, 2)
    assert trace.parameters(nets[0]) == trace.parameters(nets[1])
    return [trace.costs(net).macs for net in nets]


@proves("No ReLU follows")
def test_the_last_1x1_of_a_bottleneck_alone_has_its_relu_behind_the_sum(row):
    assert kinds(row.right().residual) == ["Conv2d", "BatchNorm2d", "ReLU"] * 2 + ["Conv2d", "BatchNorm2d"]


@proves("The ReLU stands before")
def test_a_relu_before_the_addition_lets_blocks_only_add(row):
    residual, shortcut = torch.tensor([-2.0]), torch.tensor([3.0])
    assert F.relu(residual) + shortcut >= shortcut > row.right(residual=residual, shortcut=shortcut) == 1


@proves("The last block of a stage")
def test_the_first_block_halves_in_every_stage_but_the_first(row):
    net = build("resnet34")
    for stage in (net.conv3_x, net.conv4_x, net.conv5_x):
        assert [block.residual[0].stride[0] for block in stage] == [2] + [1] * (len(stage) - 1)
    assert shapes("resnet34")["conv2_x"] == (64, 56, 56)


@proves("First one block, then")
def test_one_block_more_a_stage_makes_26_layers_of_20(row):
    net = row.right()
    assert len(all_of(net, nn.Conv2d | nn.Linear)) == 20
    for stage in (net.conv2_x, net.conv3_x, net.conv4_x):
        width = stage[-1].residual[0].out_channels
        stage.append(resnet.Basic(width, width, 1, resnet.zero_padding))
    assert len(all_of(net, nn.Conv2d | nn.Linear)) == 26 and net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@proves("Every block of a stage gets")
def test_five_strides_leave_one_column_of_32(row):
    x = torch.zeros(2, 32, 32, 32)
    blocks = nn.Sequential(*(resnet.Basic(32, 32, 2, resnet.zero_padding) for _ in range(5)))
    assert blocks(x).shape[3] == 1 and row.right()(x).shape == x.shape


@proves("ResNet-18 for CIFAR-10")
def test_resnet_20_and_a_small_resnet_18_differ_in_width(row):
    nets = [run(text, scope()) for text in code(row.instead)]
    assert kernels(nets[0]) == [3] * (6 * 3 + 1)
    widths = [{conv.out_channels for conv in all_of(net, nn.Conv2d)} for net in nets]
    assert widths == [{16, 32, 64}, {64, 128, 256, 512}]
    return [trace.parameters(net) for net in nets]


@proves("Keras counts")
def test_keras_counts_biases_and_running_averages(row):
    found, ours = row.right(), trace.parameters(build("resnet50"))
    assert found.total - found.non_trainable > ours and found.non_trainable > 0
    return [found.total, ours]
