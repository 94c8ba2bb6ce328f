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
    %30 = stablehlo.broadcast_in_dim %4, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %31 = stablehlo.subtract %0, %30 : tensor<2x2x2x2x2xf32>
    %32 = stablehlo.broadcast_in_dim %29, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %33 = stablehlo.multiply %31, %32 : tensor<2x2x2x2x2xf32>
    %34 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %35 = stablehlo.add %33, %34 : tensor<2x2x2x2x2xf32>
    // act (relu)
    %36 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %37 = stablehlo.maximum %35, %36 : tensor<2x2x2x2x2xf32>
    // mean (avgpool)
    %38 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %39 = stablehlo.reduce(%37 init: %38) applies stablehlo.add across dimensions = [2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
    %40 = stablehlo.constant dense<1.250000000e-01> : tensor<2x2xf32>
    %41 = stablehlo.multiply %39, %40 : tensor<2x2xf32>
    // fc (linear)
    %42 = stablehlo.dot_general %41, %arg6, contracting_dims = [1] x [1], precision = [HIGHEST, HIGHEST] : (tensor<2x2xf32>, tensor<3x2xf32>) -> tensor<2x3xf32>
    %43 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32>
    %44 = stablehlo.add %42, %43 : tensor<2x3xf32>
    // loss (ce)
    %45 = stablehlo.constant dense<-100> : tensor<2xi32>
    %46 = stablehlo.compare NE, %arg9, %45, SIGNED : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi1>
    %47 = stablehlo.convert %46 : (tensor<2xi1>) -> tensor<2xf32>
    %48 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %49 = stablehlo.reduce(%44 init: %48) applies stablehlo.maximum across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %50 = stablehlo.constant dense<0xFF800000> : tensor<2xf32>
    %51 = stablehlo.compare GT, %49, %50, FLOAT : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
    %52 = stablehlo.constant dense<0.000000000e+00> : tensor<2xf32>
    %53 = stablehlo.select %51, %49, %52 : tensor<2xi1>, tensor<2xf32>
    %54 = stablehlo.broadcast_in_dim %53, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %55 = stablehlo.subtract %44, %54 : tensor<2x3xf32>
    %56 = stablehlo.exponential %55 : tensor<2x3xf32>
    %57 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %58 = stablehlo.reduce(%56 init: %57) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %59 = stablehlo.log %58 : tensor<2xf32>
    %60 = stablehlo.broadcast_in_dim %59, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %61 = stablehlo.subtract %55, %60 : tensor<2x3xf32>
    %62 = stablehlo.iota dim = 1 : tensor<2x3xi32>
    %63 = stablehlo.broadcast_in_dim %arg9, dims = [0] : (tensor<2xi32>) -> tensor<2x3xi32>
    %64 = stablehlo.compare EQ, %62, %63, SIGNED : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
    %65 = stablehlo.convert %64 : (tensor<2x3xi1>) -> tensor<2x3xf32>
    %66 = stablehlo.constant dense<1.000000000e+00> : tensor<2x3xf32>
    %67 = stablehlo.multiply %65, %66 : tensor<2x3xf32>
    %68 = stablehlo.constant dense<0.000000000e+00> : tensor<2x3xf32>
    %69 = stablehlo.add %67, %68 : tensor<2x3xf32>
    %70 = stablehlo.multiply %61, %69 : tensor<2x3xf32>
    %71 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %72 = stablehlo.reduce(%70 init: %71) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %73 = stablehlo.multiply %72, %47 : tensor<2xf32>
    %74 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %75 = stablehlo.reduce(%73 init: %74) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %76 = stablehlo.constant dense<-1.000000000e+00> : tensor<f32>
    %77 = stablehlo.multiply %75, %76 : tensor<f32>
    %78 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %79 = stablehlo.reduce(%47 init: %78) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %80 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %81 = stablehlo.maximum %79, %80 : tensor<f32>
    %82 = stablehlo.divide %77, %81 : tensor<f32>
    // gradients
    %83 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %84 = stablehlo.divide %83, %81 : tensor<f32>
    %85 = stablehlo.multiply %84, %76 : tensor<f32>
    %86 = stablehlo.broadcast_in_dim %85, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %87 = stablehlo.multiply %86, %47 : tensor<2xf32>
    %88 = stablehlo.broadcast_in_dim %87, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %89 = stablehlo.multiply %88, %69 : tensor<2x3xf32>
    %90 = stablehlo.negate %89 : tensor<2x3xf32>
    %91 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %92 = stablehlo.reduce(%90 init: %91) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %93 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %94 = stablehlo.divide %93, %58 : tensor<2xf32>
    %95 = stablehlo.multiply %92, %94 : tensor<2xf32>
    %96 = stablehlo.broadcast_in_dim %95, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %97 = stablehlo.multiply %96, %56 : tensor<2x3xf32>
    %98 = stablehlo.add %89, %97 : tensor<2x3xf32>
    %99 = stablehlo.negate %98 : tensor<2x3xf32>
    %100 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %101 = stablehlo.reduce(%98 init: %100) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>
    %102 = stablehlo.dot_general %98, %arg6, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
    %103 = stablehlo.dot_general %98, %41, contracting_dims = [0] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
    %104 = stablehlo.multiply %102, %40 : tensor<2x2xf32>
    %105 = stablehlo.broadcast_in_dim %104, dims = [0, 1] : (tensor<2x2xf32>) -> tensor<2x2x2x2x2xf32>
    %106 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %107 = stablehlo.compare GT, %37, %106, FLOAT : (tensor<2x2x2x2x2xf32>, tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xi1>
    %108 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %109 = stablehlo.select %107, %105, %108 : tensor<2x2x2x2x2xi1>, tensor<2x2x2x2x2xf32>
    %110 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %111 = stablehlo.reduce(%109 init: %110) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %112 = stablehlo.multiply %109, %31 : tensor<2x2x2x2x2xf32>
    %113 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %114 = stablehlo.reduce(%112 init: %113) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %115 = stablehlo.multiply %114, %28 : tensor<2xf32>
    %116 = stablehlo.multiply %28, %28 : tensor<2xf32>
    %117 = stablehlo.multiply %114, %116 : tensor<2xf32>
    %118 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %119 = stablehlo.multiply %117, %118 : tensor<2xf32>
    %120 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %121 = stablehlo.multiply %111, %120 : tensor<2xf32>
    %122 = stablehlo.broadcast_in_dim %121, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %123 = stablehlo.subtract %109, %122 : tensor<2x2x2x2x2xf32>
    %124 = stablehlo.broadcast_in_dim %119, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %125 = stablehlo.multiply %31, %124 : tensor<2x2x2x2x2xf32>
    %126 = stablehlo.subtract %123, %125 : tensor<2x2x2x2x2xf32>
    %127 = stablehlo.broadcast_in_dim %29, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %128 = stablehlo.multiply %126, %127 : tensor<2x2x2x2x2xf32>
    %129 = stablehlo.convolution(%arg8, %128) dim_numbers = [f, b, 0, 1, 2]x[i, o, 0, 1, 2]->[f, b, 0, 1, 2], window = {stride = [1, 1, 1], pad = [[1, 0], [1, 0], [1, 0]], lhs_dilate = [1, 1, 1], rhs_dilate = [2, 2, 2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x1x4x4x4xf32>, tensor<2x2x2x2x2xf32>) -> tensor<2x1x3x3x3xf32>
    return %82, %129, %115, %111, %103, %101, %17, %23, %25 : tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>
  }
}
