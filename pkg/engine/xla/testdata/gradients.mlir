module @step {
  func.func public @main(%arg0: tensor<2x1x3x3x3xf32>, %arg1: tensor<2xf32>, %arg2: tensor<2xf32>, %arg3: tensor<2xf32> {tf.aliasing_output = 6 : i32}, %arg4: tensor<2xf32> {tf.aliasing_output = 7 : i32}, %arg5: tensor<f32> {tf.aliasing_output = 8 : i32}, %arg6: tensor<3x2xf32>, %arg7: tensor<3xf32>, %arg8: tensor<2x1x4x4x4xf32>, %arg9: tensor<2xi32>) -> (tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>) {
    // conv (conv)
    %0 = stablehlo.convolution(%arg8, %arg0) dim_numbers = [b, f, 0, 1, 2]x[o, i, 0, 1, 2]->[b, f, 0, 1, 2], window = {stride = [2, 2, 2], pad = [[1, 1], [1, 1], [1, 1]], lhs_dilate = [1, 1, 1], rhs_dilate = [1, 1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x1x4x4x4xf32>, tensor<2x1x3x3x3xf32>) -> tensor<2x2x2x2x2xf32>
    // norm (batchnorm)
    %1 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %2 = stablehlo.reduce(%0 init: %1) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %3 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %4 = stablehlo.multiply %2, %3 : tensor<2xf32>
    %5 = stablehlo.broadcast_in_dim %4, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %6 = stablehlo.subtract %0, %5 : tensor<2x2x2x2x2xf32>
    %7 = stablehlo.multiply %6, %6 : tensor<2x2x2x2x2xf32>
    %8 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%7 init: %8) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %10 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %11 = stablehlo.multiply %9, %10 : tensor<2xf32>
    %12 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %13 = stablehlo.multiply %4, %12 : tensor<2xf32>
    %14 = stablehlo.subtract %13, %arg3 : tensor<2xf32>
    %15 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %16 = stablehlo.multiply %14, %15 : tensor<2xf32>
    %17 = stablehlo.add %arg3, %16 : tensor<2xf32>
    %18 = stablehlo.constant dense<1.066666667e+00> : tensor<2xf32>
    %19 = stablehlo.multiply %11, %18 : tensor<2xf32>
    %20 = stablehlo.subtract %19, %arg4 : tensor<2xf32>
    %21 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %22 = stablehlo.multiply %20, %21 : tensor<2xf32>
    %23 = stablehlo.add %arg4, %22 : tensor<2xf32>
    %24 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %25 = stablehlo.add %arg5, %24 : tensor<f32>
    %26 = stablehlo.constant dense<1.000000000e-05> : tensor<2xf32>
    %27 = stablehlo.add %11, %26 : tensor<2xf32>
    %28 = stablehlo.rsqrt %27 : tensor<2xf32>
    %29 = stablehlo.multiply %28, %arg1 : tensor<2xf32>
    %30 = stablehlo.broadcast_in_dim %29, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %31 = stablehlo.multiply %6, %30 : tensor<2x2x2x2x2xf32>
    %32 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %33 = stablehlo.add %31, %32 : tensor<2x2x2x2x2xf32>
    // act (relu)
    %34 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %35 = stablehlo.maximum %33, %34 : tensor<2x2x2x2x2xf32>
    // mean (avgpool)
    %36 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %37 = stablehlo.reduce(%35 init: %36) applies stablehlo.add across dimensions = [2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
    %38 = stablehlo.constant dense<1.250000000e-01> : tensor<2x2xf32>
    %39 = stablehlo.multiply %37, %38 : tensor<2x2xf32>
    // fc (linear)
    %40 = stablehlo.dot_general %39, %arg6, contracting_dims = [1] x [1], precision = [HIGHEST, HIGHEST] : (tensor<2x2xf32>, tensor<3x2xf32>) -> tensor<2x3xf32>
    %41 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32>
    %42 = stablehlo.add %40, %41 : tensor<2x3xf32>
    // loss (ce)
    %43 = stablehlo.constant dense<-100> : tensor<2xi32>
    %44 = stablehlo.compare NE, %arg9, %43, SIGNED : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi1>
    %45 = stablehlo.convert %44 : (tensor<2xi1>) -> tensor<2xf32>
    %46 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %47 = stablehlo.reduce(%42 init: %46) applies stablehlo.maximum across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %48 = stablehlo.constant dense<0xFF800000> : tensor<2xf32>
    %49 = stablehlo.compare GT, %47, %48, FLOAT : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
    %50 = stablehlo.constant dense<0.000000000e+00> : tensor<2xf32>
    %51 = stablehlo.select %49, %47, %50 : tensor<2xi1>, tensor<2xf32>
    %52 = stablehlo.broadcast_in_dim %51, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %53 = stablehlo.subtract %42, %52 : tensor<2x3xf32>
    %54 = stablehlo.exponential %53 : tensor<2x3xf32>
    %55 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %56 = stablehlo.reduce(%54 init: %55) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %57 = stablehlo.log %56 : tensor<2xf32>
    %58 = stablehlo.broadcast_in_dim %57, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %59 = stablehlo.subtract %53, %58 : tensor<2x3xf32>
    %60 = stablehlo.iota dim = 1 : tensor<2x3xi32>
    %61 = stablehlo.broadcast_in_dim %arg9, dims = [0] : (tensor<2xi32>) -> tensor<2x3xi32>
    %62 = stablehlo.compare EQ, %60, %61, SIGNED : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
    %63 = stablehlo.convert %62 : (tensor<2x3xi1>) -> tensor<2x3xf32>
    %64 = stablehlo.constant dense<1.000000000e+00> : tensor<2x3xf32>
    %65 = stablehlo.multiply %63, %64 : tensor<2x3xf32>
    %66 = stablehlo.constant dense<0.000000000e+00> : tensor<2x3xf32>
    %67 = stablehlo.add %65, %66 : tensor<2x3xf32>
    %68 = stablehlo.multiply %59, %67 : tensor<2x3xf32>
    %69 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %70 = stablehlo.reduce(%68 init: %69) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %71 = stablehlo.multiply %70, %45 : tensor<2xf32>
    %72 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %73 = stablehlo.reduce(%71 init: %72) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %74 = stablehlo.constant dense<-1.000000000e+00> : tensor<f32>
    %75 = stablehlo.multiply %73, %74 : tensor<f32>
    %76 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %77 = stablehlo.reduce(%45 init: %76) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %78 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %79 = stablehlo.maximum %77, %78 : tensor<f32>
    %80 = stablehlo.divide %75, %79 : tensor<f32>
    // gradients
    %81 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %82 = stablehlo.divide %81, %79 : tensor<f32>
    %83 = stablehlo.multiply %82, %74 : tensor<f32>
    %84 = stablehlo.broadcast_in_dim %83, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %85 = stablehlo.multiply %84, %45 : tensor<2xf32>
    %86 = stablehlo.broadcast_in_dim %85, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %87 = stablehlo.multiply %86, %67 : tensor<2x3xf32>
    %88 = stablehlo.negate %87 : tensor<2x3xf32>
    %89 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %90 = stablehlo.reduce(%88 init: %89) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %91 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %92 = stablehlo.divide %91, %56 : tensor<2xf32>
    %93 = stablehlo.multiply %90, %92 : tensor<2xf32>
    %94 = stablehlo.broadcast_in_dim %93, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %95 = stablehlo.multiply %94, %54 : tensor<2x3xf32>
    %96 = stablehlo.add %87, %95 : tensor<2x3xf32>
    %97 = stablehlo.negate %96 : tensor<2x3xf32>
    %98 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %99 = stablehlo.reduce(%96 init: %98) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>
    %100 = stablehlo.dot_general %96, %arg6, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
    %101 = stablehlo.dot_general %96, %39, contracting_dims = [0] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
    %102 = stablehlo.multiply %100, %38 : tensor<2x2xf32>
    %103 = stablehlo.broadcast_in_dim %102, dims = [0, 1] : (tensor<2x2xf32>) -> tensor<2x2x2x2x2xf32>
    %104 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %105 = stablehlo.compare GT, %35, %104, FLOAT : (tensor<2x2x2x2x2xf32>, tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xi1>
    %106 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %107 = stablehlo.select %105, %103, %106 : tensor<2x2x2x2x2xi1>, tensor<2x2x2x2x2xf32>
    %108 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %109 = stablehlo.reduce(%107 init: %108) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %110 = stablehlo.multiply %107, %30 : tensor<2x2x2x2x2xf32>
    %111 = stablehlo.multiply %107, %6 : tensor<2x2x2x2x2xf32>
    %112 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %113 = stablehlo.reduce(%111 init: %112) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %114 = stablehlo.multiply %113, %arg1 : tensor<2xf32>
    %115 = stablehlo.multiply %113, %28 : tensor<2xf32>
    %116 = stablehlo.constant dense<-5.000000000e-01> : tensor<2xf32>
    %117 = stablehlo.multiply %28, %28 : tensor<2xf32>
    %118 = stablehlo.multiply %28, %117 : tensor<2xf32>
    %119 = stablehlo.multiply %116, %118 : tensor<2xf32>
    %120 = stablehlo.multiply %114, %119 : tensor<2xf32>
    %121 = stablehlo.multiply %120, %10 : tensor<2xf32>
    %122 = stablehlo.broadcast_in_dim %121, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %123 = stablehlo.multiply %122, %6 : tensor<2x2x2x2x2xf32>
    %124 = stablehlo.add %110, %123 : tensor<2x2x2x2x2xf32>
    %125 = stablehlo.multiply %122, %6 : tensor<2x2x2x2x2xf32>
    %126 = stablehlo.add %124, %125 : tensor<2x2x2x2x2xf32>
    %127 = stablehlo.negate %126 : tensor<2x2x2x2x2xf32>
    %128 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %129 = stablehlo.reduce(%127 init: %128) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %130 = stablehlo.multiply %129, %3 : tensor<2xf32>
    %131 = stablehlo.broadcast_in_dim %130, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %132 = stablehlo.add %126, %131 : tensor<2x2x2x2x2xf32>
    %133 = stablehlo.convolution(%arg8, %132) dim_numbers = [f, b, 0, 1, 2]x[i, o, 0, 1, 2]->[f, b, 0, 1, 2], window = {stride = [1, 1, 1], pad = [[1, 0], [1, 0], [1, 0]], lhs_dilate = [1, 1, 1], rhs_dilate = [2, 2, 2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x1x4x4x4xf32>, tensor<2x2x2x2x2xf32>) -> tensor<2x1x3x3x3xf32>
    return %80, %133, %115, %109, %101, %99, %17, %23, %25 : tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>
  }
}
